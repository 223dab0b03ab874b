"""The commands of `lbt`, by what they are about; `cli` makes one program of them."""
