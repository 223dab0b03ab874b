"""The LSTM of a hundred tutorials, as they write it: scale closes to 0..1, learn the next from the 60 before it."""

import torch


class Tutorial(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(input_size=1, hidden_size=32, batch_first=True)
        self.linear = torch.nn.Linear(32, 1)

    def forward(self, x):  # (B, 60, 1) -> (B, 1)
        return self.linear(self.lstm(x)[0][:, -1])


def windows(closes, low, width):
    """(N, 60, 1) scaled closes and (N, 1) the scaled close after each."""
    scaled = torch.tensor((closes.to_numpy() - low) / width, dtype=torch.float32).unfold(0, 61, 1)
    return scaled[:, :60, None], scaled[:, 60:]


def train(closes, low, width, steps=300):
    torch.manual_seed(0)
    net, (x, y) = Tutorial(), windows(closes, low, width)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.003)
    for _ in range(steps):
        rows = torch.randint(len(x), (64,))
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(net(x[rows]), y[rows]).backward()
        optimiser.step()
    return net
