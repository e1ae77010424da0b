"""What train_nets.py and train_nets_torch.py have in common: (batch, shape of a sample, is it words, classes) of each network."""

SHAPES = {
    "mlp": (64, (784,), False, 10),
    "lenet300": (64, (784,), False, 10),
    "cnn-small": (128, (1, 28, 28), False, 10),
    "cnn-resnet": (128, (1, 28, 28), False, 10),
    "dscnn-kws": (64, (1, 62, 32), False, 36),
    "gru-kws": (64, (1, 62, 32), False, 36),
    "bag": (256, (64,), True, 26),
    "encoder": (128, (48,), True, 26),
    "lm": (16, (128,), True, 4096),
    "mobilenetv2-96": (16, (3, 96, 96), False, 10),
    "resnet18-224": (4, (3, 224, 224), False, 10),
    "two-conv": (64, (1, 28, 28), False, 10),
    "resnet20": (64, (3, 32, 32), False, 10),
    "transformer": (32, (128,), True, 4),
    "lstm": (32, (100, 128), False, 10),
}

# Input channels, outputs, how many blocks, stride of the first, expansion: MobileNetV2's blocks.
MOBILE = ((32, 16, 1, 1, 1), (16, 24, 2, 2, 6), (24, 32, 3, 2, 6), (32, 64, 4, 2, 6), (64, 96, 3, 1, 6), (96, 160, 3, 2, 6), (160, 320, 1, 1, 6))
