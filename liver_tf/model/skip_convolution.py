"""Convolution of a skip connection and the upsampled features, with separate gradients.

Plain layers compute the gradient of the concatenation in one convolution and then split it: an
extra pass through memory, and wasted work if the encoder is frozen. Here each half's gradient is a
convolution with its half of the kernel, and unused gradients are not computed. Mathematics,
weights and names are those of ``keras.layers.Conv2D`` after a ``Concatenate``.
"""

import keras
import tensorflow as tf


class SkipConvolution(keras.layers.Conv2D):
    """3 x 3 convolution with ReLU of ``[skip, up]``, both [batch, rows, columns, channels]."""

    def __init__(self, filters: int, **options) -> None:
        super().__init__(filters, 3, padding="same", activation="relu", **options)
        self.input_spec = [keras.layers.InputSpec(ndim=4)] * 2

    def build(self, input_shape) -> None:
        spec = self.input_spec
        super().build(_joined_shape(input_shape))
        self.input_spec = spec  # Keras sets that of a single input

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(_joined_shape(input_shape))

    def call(self, inputs, training=None):
        if not training:  # keep the custom gradient out of exported graphs
            return super().call(tf.concat(inputs, axis=-1))
        return _convolve(*inputs, *map(tf.convert_to_tensor, (self.kernel, self.bias)), self.name)


def _joined_shape(shape):
    if not isinstance(shape[0], list | tuple):
        return shape
    skip, up = shape
    return (*up[:-1], skip[-1] + up[-1])


def _convolve(skip, up, kernel, bias, name: str) -> tf.Tensor:
    same = {"strides": [1, 1, 1, 1], "padding": "SAME"}

    @tf.custom_gradient
    def convolve(skip, up, kernel, bias):
        joined = tf.concat([skip, up], axis=-1)
        outputs = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(joined, kernel, 1, "SAME"), bias))

        def backwards(gradient):
            gradient = tf.raw_ops.ReluGrad(gradients=gradient, features=outputs)

            def of_input(part, its_kernel):
                return tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.shape(part), filter=its_kernel, out_backprop=gradient, **same
                )

            of_skip, of_up = tf.split(kernel, [skip.shape[-1], up.shape[-1]], axis=2)
            # The name scope of TensorFlow's own gradients.
            with tf.name_scope(f"gradient_tape/{name}/"):
                return (
                    of_input(skip, of_skip),
                    of_input(up, of_up),
                    tf.raw_ops.Conv2DBackpropFilter(
                        input=joined, filter_sizes=tf.shape(kernel), out_backprop=gradient, **same
                    ),
                    tf.raw_ops.BiasAddGrad(out_backprop=gradient),
                )

        return outputs, backwards

    return convolve(skip, up, kernel, bias)
