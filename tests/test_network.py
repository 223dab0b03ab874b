"""The network: it computes what the equations say, and starts with a memory."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from lstm_backtrader.forecast.network import RecurrentNet, one_thread, repeatable


def net_of(seed=0, **options):
    return RecurrentNet(3, 7, generator=torch.Generator().manual_seed(seed), **options).eval()


def gradient_kept(net, lag):
    """|d last hidden / d input `lag` bars before| over the same for the last input, on a sequence of noise."""
    noise = np.random.default_rng(0).normal(size=(1, lag + 1, 3)).astype(np.float32)
    x = torch.from_numpy(noise).requires_grad_()
    hidden, _ = net.cell(x)
    hidden[0, -1].sum().backward()
    return float(x.grad[0, 0].norm() / x.grad[0, -1].norm())


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_the_net_computes_what_plain_numpy_computes(numpy_net, layers, cell):
    net = net_of(layers=layers, cell=cell, memory=50)
    with torch.no_grad():
        net.head.weight.mul_(30)  # the head starts small, and a small number equals any other
    x = np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32)
    with torch.no_grad():
        y, _ = net(torch.from_numpy(x)[None])
    assert abs(y.numpy()).max() > 1e-2
    np.testing.assert_allclose(y[0].numpy(), numpy_net(net, x), atol=1e-6)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_a_sequence_in_two_parts_is_one_sequence(layers, cell):
    net = net_of(layers=layers, cell=cell)
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 30, 3)).astype(np.float32))
    with torch.no_grad():
        whole, after = net(x)
        head, state = net(x[:, :11])
        tail, after_parts = net(x[:, 11:], state)
    torch.testing.assert_close(torch.cat([head, tail], dim=1), whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(after_parts, after, atol=1e-6, rtol=0)
    assert [part.shape for part in after] == [(layers, 4, 7)] * (2 if cell == "lstm" else 1)


def test_an_output_depends_on_no_later_bar():
    net = net_of()
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 30, 3)).astype(np.float32))
    other = x.clone()
    other[:, 20:] = 9.0
    with torch.no_grad():
        torch.testing.assert_close(net(x)[0][:, :20], net(other)[0][:, :20], atol=0, rtol=0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_chrono_lstm_carries_a_gradient_over_a_hundred_bars_and_an_rnn_does_not(seed):
    kept = {}
    for cell in ("lstm", "rnn"):
        net = RecurrentNet(3, 32, cell=cell, memory=480, generator=torch.Generator().manual_seed(seed))
        kept[cell] = gradient_kept(net, lag=100)
    assert kept["lstm"] > 1e-2
    assert kept["rnn"] < 1e-6


@pytest.mark.parametrize("memory", [3, 50, 480])
def test_forget_gates_start_with_time_constants_up_to_the_memory(memory):
    net = RecurrentNet(3, 256, memory=memory, generator=torch.Generator().manual_seed(0))
    bias = (net.cell.bias_ih_l0 + net.cell.bias_hh_l0).detach().reshape(4, 256)
    time_constants = 1 / (1 - torch.sigmoid(bias[1]))  # bars until 1/e is left, nearly
    assert time_constants.min() >= 2 - 1e-4
    assert time_constants.max() <= memory + 1e-2
    assert time_constants.max() > 0.9 * memory
    torch.testing.assert_close(bias[0], -bias[1])
    assert (bias[2:] == 0).all()


def test_each_recurrent_gate_starts_orthogonal():
    net = net_of(layers=2)
    for name in ("weight_hh_l0", "weight_hh_l1"):
        for block in getattr(net.cell, name).detach().reshape(4, 7, 7):
            torch.testing.assert_close(block @ block.T, torch.eye(7), atol=1e-5, rtol=0)


def test_one_seed_makes_one_net_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, again, other = net_of(seed=1).state_dict(), net_of(seed=1).state_dict(), net_of(seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_is_for_training_alone_and_keeps_the_mean():
    net = RecurrentNet(3, 7, dropout=0.5, generator=torch.Generator().manual_seed(0))
    x = torch.ones(2000, 5, 3)
    with torch.no_grad():
        evaluated = net.eval()(x)[0]
        trained = net.train()(x)[0]
    assert (evaluated[0] == evaluated[1]).all()
    assert trained[:, -1].std() > 0
    assert trained[:, -1].mean() == pytest.approx(float(evaluated[0, -1]), abs=5e-3)


def test_the_thread_count_is_as_before_outside():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError), one_thread():
            raise ZeroDivisionError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_it_is_a_plain_module():
    assert isinstance(net_of(), nn.Module)
    assert set(dict(net_of().named_children())) == {"cell", "head"}


def test_the_cpu_is_repeatable_without_a_word_to_the_environment(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    flags = torch.backends.cudnn.deterministic
    with repeatable("cpu"):
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
        assert torch.backends.cudnn.deterministic == flags


def test_a_gpu_is_told_to_be_repeatable_and_the_flags_are_as_before_outside(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with repeatable("cuda"):
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.rnn.fp32_precision == "ieee"
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == before
