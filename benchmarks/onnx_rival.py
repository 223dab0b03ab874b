"""onnxruntime as a rival: the weights of a net as an ONNX graph over fixed windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.forecast.network import RecurrentNet

_OPSET, _IR = 17, 10
_GATES = (0, 3, 1, 2)  # torch keeps input, forget, cell, output; ONNX wants input, output, forget, cell


class OnnxWindows:
    """Windows (B, L, F) -> forecasts (B,) on one thread."""

    def __init__(self, net: RecurrentNet, length: int) -> None:
        import onnxruntime  # an extra; the other benchmarks run without it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = _graph(net, length)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, L, F) -> (B,)."""
        time_major = np.ascontiguousarray(windows.transpose(1, 0, 2))
        (forecast,) = self._session.run(None, {"x": time_major})
        return np.asarray(forecast[:, 0], np.float32)


def _graph(net: RecurrentNet, length: int) -> bytes:
    from onnx import TensorProto, checker, helper, numpy_helper

    weights = {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}
    constants, nodes, here = [], [], "x"

    def constant(name: str, value: NDArray[np.generic]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def gates(name: str) -> NDArray[np.float32]:
        return np.concatenate([np.split(weights[name], 4)[gate] for gate in _GATES])

    for layer in range(net.cell.num_layers):
        W, R = gates(f"cell.weight_ih_l{layer}"), gates(f"cell.weight_hh_l{layer}")
        B = np.concatenate([gates(f"cell.bias_ih_l{layer}"), gates(f"cell.bias_hh_l{layer}")])
        inputs = [constant(f"{letter}{layer}", value[None]) for letter, value in (("W", W), ("R", R), ("B", B))]
        outputs = [f"y{layer}", f"h{layer}"]  # (L, 1, B, H), (1, B, H)
        nodes.append(helper.make_node("LSTM", [here, *inputs], outputs, hidden_size=net.cell.hidden_size))
        here = f"x{layer + 1}"
        axis = constant(f"axis{layer}", np.array([1], np.int64))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", axis], [here]))  # (L, B, H)
    last = f"h{net.cell.num_layers - 1}"
    nodes.append(helper.make_node("Squeeze", [last, constant("first", np.array([0], np.int64))], ["h"]))
    head = [constant("head", weights["head.weight"]), constant("bias", weights["head.bias"])]
    nodes.append(helper.make_node("Gemm", ["h", *head], ["forecast"], transB=1))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [length, "B", net.cell.input_size])
    y = helper.make_tensor_value_info("forecast", TensorProto.FLOAT, ["B", 1])
    graph = helper.make_graph(nodes, "lstm", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    checker.check_model(model)
    return bytes(model.SerializeToString())
