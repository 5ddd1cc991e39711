"""Our U-Net in plain Keras layers, and in PyTorch; in float32, or in half precision as ours.

In half precision the blocks compute in bfloat16, by the means of each library; weights, logits,
softmax and loss are float32, as in ours.
"""

LEVELS = 5


def precisions() -> list[str]:
    """Those in which a benchmark compares libraries on this processor."""
    from liver_tf.model.precision import processor_instructions

    return ["float32", *(["bfloat16"] if processor_instructions() else [])]


def keras_unet(side: int, filters: int, classes: int, precision: str = "float32"):
    """``keras.Model``, [batch, side, side, 1] to logits [batch, side, side, classes].

    ``precision``: sets the global policy of Keras. Logits are float32; float64 as all the rest.
    """
    import keras
    from keras import layers

    half = precision not in ("float32", "float64")
    keras.config.set_dtype_policy(f"mixed_{precision}" if half else precision)

    def block(x, channels: int):
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
            x = layers.BatchNormalization()(x)
        return x

    x = inputs = keras.Input((side, side, 1))
    skips = []
    for level in range(LEVELS):
        if level:
            x = layers.MaxPooling2D()(x)
        x = block(x, filters * 2**level)
        skips.append(x)
    for level in range(LEVELS - 2, -1, -1):
        x = layers.Conv2DTranspose(filters * 2**level, 2, strides=2)(x)
        x = block(layers.Concatenate()([skips[level], x]), filters * 2**level)
    return keras.Model(inputs, layers.Conv2D(classes, 1, dtype="float32" if half else precision)(x))


def torch_unet(filters: int, classes: int, precision: str = "float32"):
    """``torch.nn.Module``, [batch, 1, rows, columns] to logits [batch, classes, rows, columns].

    The logits are float32. In another ``precision`` the forward pass is autocast.
    """
    import torch
    from torch import nn

    def block(inside: int, outside: int) -> nn.Sequential:
        parts = []
        for channels in (inside, outside):
            parts += [
                nn.Conv2d(channels, outside, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(outside, eps=1e-3, momentum=0.01),
            ]
        return nn.Sequential(*parts)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = [filters * 2**level for level in range(LEVELS)]
            self.encoder = nn.ModuleList(
                block(inside, outside) for inside, outside in zip([1, *sizes], sizes, strict=False)
            )
            self.up = nn.ModuleList(
                nn.ConvTranspose2d(2 * size, size, 2, 2) for size in sizes[-2::-1]
            )
            self.decoder = nn.ModuleList(block(2 * size, size) for size in sizes[-2::-1])
            self.head = nn.Conv2d(filters, classes, 1)

        def forward(self, x):
            half = precision != "float32"
            with torch.autocast(x.device.type, getattr(torch, precision), enabled=half):
                return self.logits(x).float()

        def logits(self, x):
            skips = []
            for level, part in enumerate(self.encoder):
                x = part(nn.functional.max_pool2d(x, 2) if level else x)
                skips.append(x)
            for skip, up, part in zip(skips[-2::-1], self.up, self.decoder, strict=True):
                x = part(torch.cat([skip, up(x)], 1))
            return self.head(x)

    return UNet()
