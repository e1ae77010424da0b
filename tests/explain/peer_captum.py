#!/usr/bin/env python3
"""Explanations beside Captum's, of one convolutional network in PyTorch: peer_captum.py HONE. Needs torch, captum, onnx, numpy.

The picture has no two equal neighbours: where max pooling has equals, which one the gradient goes to is a matter of taste."""
import json
import pathlib
import subprocess
import sys
import tempfile

import captum.attr
import numpy
import onnx
import torch
from onnx import helper, numpy_helper


def make_model(path):
    """Two convolutions of 3 x 3 with normalizations between, pooled, and one product; the same as a module."""
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 16, 3, padding=1, bias=False), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
                              torch.nn.MaxPool2d(2), torch.nn.Conv2d(16, 16, 3, padding=1, bias=False),
                              torch.nn.BatchNorm2d(16), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(16 * 36, 5))
    for m in (net[1], net[5]):
        m.running_mean.normal_(0, 0.1)
        m.running_var.uniform_(0.5, 1.5)
    net.eval()
    weights = {f"{name.replace('.', '_')}": p.detach().numpy() for name, p in net.state_dict().items() if p.dim()}
    norm = lambda i: [f"{i}_{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    nodes = [helper.make_node("Conv", ["x", "0_weight"], ["a"], pads=[1, 1, 1, 1]),
             helper.make_node("BatchNormalization", ["a", *norm(1)], ["b"]), helper.make_node("Relu", ["b"], ["c"]),
             helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("Conv", ["d", "4_weight"], ["e"], pads=[1, 1, 1, 1]),
             helper.make_node("BatchNormalization", ["e", *norm(5)], ["f"]), helper.make_node("Relu", ["f"], ["g"]),
             helper.make_node("Flatten", ["g"], ["h"]),
             helper.make_node("Gemm", ["h", "8_weight", "8_bias"], ["y"], transB=1)]
    info = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "net", [info("x", ["N", 1, 12, 12])], [info("y", ["N", 5])],
                              [numpy_helper.from_array(w, name) for name, w in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return net


def main():
    hone, failed = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        net = make_model(directory / "net.onnx")
        x = numpy.random.default_rng(1).standard_normal((1, 1, 12, 12)).astype(numpy.float32)
        numpy.save(directory / "x.npy", x)
        x = torch.tensor(x, requires_grad=True)
        target = int(net(x).argmax())
        wanted = {"saliency": captum.attr.Saliency(net).attribute(x, target=target),
                  "input-gradient": captum.attr.InputXGradient(net).attribute(x, target=target),
                  "integrated-gradients": captum.attr.IntegratedGradients(net).attribute(x, target=target, n_steps=50),
                  "occlusion": captum.attr.Occlusion(net).attribute(x, sliding_window_shapes=(1, 2, 2), strides=(1, 2, 2),
                                                                    target=target),
                  "grad-cam": captum.attr.LayerAttribution.interpolate(
                      captum.attr.LayerGradCam(net, net[6]).attribute(x, target=target, relu_attributions=True), (12, 12),
                      "bilinear")}
        for method, values in wanted.items():
            done = subprocess.run([hone, "explain", directory / "net.onnx", "--input", f"@{directory}/x.npy", "--method",
                                   method, "--patch", "2", "--json"], capture_output=True, text=True)
            said = json.loads(done.stdout)
            assert said["method"] == method and said["target"] == target, said
            values = values.detach().numpy()
            error, largest = numpy.abs(numpy.array(said["values"]["x"]) - values).max(), numpy.abs(values).max()
            good = error <= 1e-4 * (1 + largest)
            failed += not good
            print(f"{method:22} largest difference {error:.1e} of {largest:.2g}{'' if good else '  FAILED'}")
    print(f"{len(wanted) - failed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
