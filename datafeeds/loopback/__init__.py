"""A venue on this machine: speaks the REST of five exchanges, with their habits and their bad days."""
