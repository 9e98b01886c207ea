"""A network in onnxruntime: an optional fast form for CPUs."""

import logging
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mantis_astro._optional import require
from mantis_astro.exceptions import InputSpecError

__all__ = ["OnnxNetwork"]


class OnnxNetwork(nn.Module):
    """
    A network that onnxruntime runs, on the CPU, without gradients.

    Needs the extra ``fast``.

    Parameters
    ----------
    network : `torch.nn.Module`
        The network; its weights are copied.
    images : `torch.Tensor` or tuple of `torch.Tensor`
        Any input that the network takes, to trace it with.
    ebv : `torch.Tensor`
        E(B-V) that goes with it, shape (n_object, n_map).
    precision : {"float32", "int8"}, optional
        ``"int8"`` stores the weights of linear layers in 8 bits and rounds their
        inputs to 8 bits as they come: several times faster, and p(z) moves visibly,
        by the same on every processor. Measure it on your own sample.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` for another ``precision``.
    ImportError
        If onnxruntime is not installed.

    Examples
    --------
    >>> from mantis_astro.models import OnnxNetwork, predict_probability
    >>> fast = OnnxNetwork(network, images, ebv)  # doctest: +SKIP
    >>> predict_probability(fast, images, ebv)  # doctest: +SKIP
    """

    def __init__(self, network, images, ebv, *, precision="float32"):
        super().__init__()
        if precision not in ("float32", "int8"):
            msg = f"'precision' must be 'float32' or 'int8', got {precision!r}"
            raise InputSpecError(msg)
        runtime = require("onnxruntime", extra="fast")
        require("onnxscript", extra="fast")
        self.micro_batch = network.micro_batch
        with tempfile.TemporaryDirectory() as folder, _quiet():
            path = Path(folder) / "network.onnx"
            _export(network, images, ebv, path)
            if precision == "int8":
                path = _quantised(path)
            options = runtime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            self._session = runtime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        self._names = [node.name for node in self._session.get_inputs()]

    def forward(self, images, ebv):
        """
        Logits of the redshift bins.

        Parameters
        ----------
        images : `torch.Tensor` or tuple of `torch.Tensor`
            What the model's spec prepares.
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_map).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_bins).
        """
        parts = images if isinstance(images, tuple) else (images,)
        inputs = (np.ascontiguousarray(part) for part in (*parts, ebv))
        feed = dict(zip(self._names, inputs, strict=True))
        (logits,) = self._session.run(None, feed)
        return torch.from_numpy(logits)


@contextmanager
def _quiet():
    """Suppress the messages of exporter and quantiser."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _export(network, images, ebv, path):
    n_object = torch.export.Dim.DYNAMIC
    first = {0: n_object}
    shape = tuple(first for _ in images) if isinstance(images, tuple) else first
    torch.onnx.export(
        network,
        (images, ebv),
        path,
        dynamo=True,
        dynamic_shapes=(shape, first),
        verbose=False,
    )


def _quantised(path):
    onnx = require("onnx", extra="fast")
    quantization = require("onnxruntime.quantization", extra="fast")
    model = onnx.load(path)
    # up to onnxruntime 1.30, shapes noted by the exporter clash with inferred ones
    del model.graph.value_info[:]
    small = path.with_name("int8.onnx")
    # Signed weights overflow in the 16-bit sums of processors without VNNI.
    quantization.quantize_dynamic(
        model,
        small,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        weight_type=quantization.QuantType.QUInt8,
    )
    return small
