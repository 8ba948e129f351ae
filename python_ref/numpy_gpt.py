"""The fast reference: the whole sequence at once in NumPy, float64, with the backward pass written out.

Arrays have the position first: T positions, E n_embd, H heads of size D, V vocab_size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from python_ref import training
from python_ref.model import ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON, RMSNORM_EPSILON, Shape
from python_ref.training import Recipe, Run

Array = NDArray[np.float64]


def views(parameters: Array, shape: Shape) -> dict[str, Array]:
    """The weight matrices, by name, as views into a parameter vector or one laid out like it."""
    return {
        name: parameters[offset : offset + rows * columns].reshape(rows, columns)
        for name, rows, columns, offset in shape.tensors()
    }


def rmsnorm(x: Array) -> tuple[Array, Array]:
    """Each row over its root mean square: (y, scale) with y [T, E] = x * scale and scale [T, 1]."""
    scale = (np.mean(x * x, axis=-1, keepdims=True) + RMSNORM_EPSILON) ** -0.5
    return x * scale, scale


def rmsnorm_backward(dy: Array, y: Array, scale: Array) -> Array:
    """Gradient of rmsnorm's x."""
    return (dy - y * np.mean(dy * y, axis=-1, keepdims=True)) * scale


def softmax(x: Array) -> Array:
    """Softmax over the last axis; minus infinity gives 0."""
    exponentials = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return exponentials / np.sum(exponentials, axis=-1, keepdims=True)


def softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of softmax's x."""
    return (dy - np.sum(dy * y, axis=-1, keepdims=True)) * y


def relu(x: Array) -> Array:
    """max(0, x)."""
    return np.where(x > 0, x, 0.0)


def relu_backward(dy: Array, y: Array) -> Array:
    """Gradient of relu's x; 0 where x was 0 or less."""
    return np.where(y > 0, dy, 0.0)


def attention_scores(q: Array, k: Array) -> Array:
    """Scaled causal scores [..., T, T] of q and k [..., T, D]; minus infinity where the key comes later."""
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    later = np.triu(np.ones(scores.shape[-2:], dtype=bool), k=1)
    return np.where(later, -np.inf, scores)


def attention(q: Array, k: Array, v: Array) -> tuple[Array, Array]:
    """Causal attention of q, k, v [..., T, D]: (probabilities [..., T, T], mixed values [..., T, D])."""
    probabilities = softmax(attention_scores(q, k))
    return probabilities, probabilities @ v


def attention_backward(
    d_mixed: Array, q: Array, k: Array, v: Array, probabilities: Array
) -> tuple[Array, Array, Array, Array]:
    """Gradients of attention: (dq, dk, dv, of the scaled scores)."""
    dv = probabilities.swapaxes(-1, -2) @ d_mixed
    d_scores = softmax_backward(d_mixed @ v.swapaxes(-1, -2), probabilities)
    root = np.sqrt(q.shape[-1])
    return d_scores @ k / root, d_scores.swapaxes(-1, -2) @ q / root, dv, d_scores


def cross_entropy(logits: Array, targets: Sequence[int]) -> tuple[float, Array]:
    """Mean of -log softmax(logits)[target] over the positions, in nats, and its gradient [T, V]."""
    rows = np.arange(len(targets))
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    log_total = np.log(np.sum(np.exp(shifted), axis=-1))
    gradient = softmax(logits)
    gradient[rows, targets] -= 1
    return float(np.mean(log_total - shifted[rows, targets])), gradient / len(targets)


def adam_step(parameters: Array, first: Array, second: Array, gradients: Array, step: int, rate: float) -> None:
    """One Adam step, in place on the parameters and both moments; step counts from 0."""
    first[:] = ADAM_BETA1 * first + (1 - ADAM_BETA1) * gradients
    second[:] = ADAM_BETA2 * second + (1 - ADAM_BETA2) * gradients**2
    first_unbiased = first / (1 - ADAM_BETA1 ** (step + 1))
    second_unbiased = second / (1 - ADAM_BETA2 ** (step + 1))
    parameters -= rate * first_unbiased / (np.sqrt(second_unbiased) + ADAM_EPSILON)


@dataclass
class LayerTrace:
    """What the backward pass needs of one layer."""

    attention_input: Array  # [T, E]
    attention_scale: Array  # [T, 1]
    q: Array  # [H, T, D]
    k: Array  # [H, T, D]
    v: Array  # [H, T, D]
    probabilities: Array  # [H, T, T]
    mixed: Array  # [T, E]
    mlp_input: Array  # [T, E]
    mlp_scale: Array  # [T, 1]
    hidden: Array  # [T, 4E]


@dataclass
class Trace:
    """What a forward pass computed."""

    inputs: list[int]
    embedding: Array  # [T, E]
    embedding_scale: Array  # [T, 1]
    layers: list[LayerTrace]
    residual: Array  # [T, E], the input of lm_head
    logits: Array  # [T, V]


def _split_heads(x: Array, shape: Shape) -> Array:
    """[T, E] to [H, T, D]."""
    return x.reshape(len(x), shape.n_head, shape.head_size).swapaxes(0, 1)


def _join_heads(x: Array) -> Array:
    """[H, T, D] to [T, E]."""
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def forward(parameters: Array, shape: Shape, inputs: list[int]) -> Trace:
    """Forward pass over 1 to block_size input tokens."""
    weights = views(parameters, shape)
    embedding, embedding_scale = rmsnorm(weights["wte"][inputs] + weights["wpe"][: len(inputs)])
    x = embedding
    layers = []
    for layer in range(shape.n_layer):
        wq, wk, wv, wo = (weights[f"layer{layer}.attn_{name}"] for name in ("wq", "wk", "wv", "wo"))
        attention_input, attention_scale = rmsnorm(x)
        q, k, v = (_split_heads(attention_input @ weight.T, shape) for weight in (wq, wk, wv))
        probabilities, mixed_heads = attention(q, k, v)
        mixed = _join_heads(mixed_heads)
        x = x + mixed @ wo.T
        mlp_input, mlp_scale = rmsnorm(x)
        hidden = relu(mlp_input @ weights[f"layer{layer}.mlp_fc1"].T)
        x = x + hidden @ weights[f"layer{layer}.mlp_fc2"].T
        layers.append(
            LayerTrace(attention_input, attention_scale, q, k, v, probabilities, mixed, mlp_input, mlp_scale, hidden)
        )
    return Trace(inputs, embedding, embedding_scale, layers, x, x @ weights["lm_head"].T)


def backward(parameters: Array, shape: Shape, trace: Trace, d_logits: Array) -> Array:
    """Gradient of every parameter, given that of the logits [T, V]."""
    weights = views(parameters, shape)
    result = np.zeros_like(parameters)
    gradients = views(result, shape)
    gradients["lm_head"][:] = d_logits.T @ trace.residual
    dx = d_logits @ weights["lm_head"]
    for layer in reversed(range(shape.n_layer)):
        kept = trace.layers[layer]
        name = f"layer{layer}"

        gradients[f"{name}.mlp_fc2"][:] = dx.T @ kept.hidden
        d_hidden = relu_backward(dx @ weights[f"{name}.mlp_fc2"], kept.hidden)
        gradients[f"{name}.mlp_fc1"][:] = d_hidden.T @ kept.mlp_input
        d_mlp_input = d_hidden @ weights[f"{name}.mlp_fc1"]
        dx = dx + rmsnorm_backward(d_mlp_input, kept.mlp_input, kept.mlp_scale)

        gradients[f"{name}.attn_wo"][:] = dx.T @ kept.mixed
        d_mixed = _split_heads(dx @ weights[f"{name}.attn_wo"], shape)
        dq, dk, dv, _ = attention_backward(d_mixed, kept.q, kept.k, kept.v, kept.probabilities)
        d_attention_input = np.zeros_like(dx)
        for projection, d_heads in (("wq", dq), ("wk", dk), ("wv", dv)):
            d_projected = _join_heads(d_heads)
            gradients[f"{name}.attn_{projection}"][:] = d_projected.T @ kept.attention_input
            d_attention_input += d_projected @ weights[f"{name}.attn_{projection}"]
        dx = dx + rmsnorm_backward(d_attention_input, kept.attention_input, kept.attention_scale)

    d_embedding = rmsnorm_backward(dx, trace.embedding, trace.embedding_scale)
    np.add.at(gradients["wte"], trace.inputs, d_embedding)
    gradients["wpe"][: len(trace.inputs)] = d_embedding
    return result


def loss_and_gradients(parameters: Array, shape: Shape, tokens: list[int]) -> tuple[float, Array]:
    """Mean cross-entropy of a document in nats, and its derivative with respect to each parameter."""
    inputs, targets = shape.split(tokens)
    trace = forward(parameters, shape, inputs)
    loss, d_logits = cross_entropy(trace.logits, targets)
    return loss, backward(parameters, shape, trace, d_logits)


class Learner:
    """The model in training; see training.Learner."""

    def __init__(self, shape: Shape, parameters: Sequence[float]) -> None:
        self.shape = shape
        self.parameters = np.array(parameters, dtype=np.float64)
        self._first = np.zeros_like(self.parameters)
        self._second = np.zeros_like(self.parameters)

    def learn(self, tokens: list[int], step: int, rate: float) -> float:
        """Take one Adam step on a document; returns its loss before the step."""
        loss, gradients = loss_and_gradients(self.parameters, self.shape, tokens)
        adam_step(self.parameters, self._first, self._second, gradients, step, rate)
        return loss

    def predict(self, tokens: list[int]) -> list[float]:
        """Logits of the token that follows `tokens`."""
        return forward(self.parameters, self.shape, tokens).logits[-1].tolist()


def train(
    documents: Sequence[str],
    shape: Shape,
    recipe: Recipe | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Run:
    """Train and sample as training.train() says; 1,000 steps at the default shape take less than a second."""
    return training.train(Learner, documents, shape, recipe or Recipe(), on_step)
