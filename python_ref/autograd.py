"""The plain reference: a GPT of scalars that know what they were computed from. Slow, and easy to check."""

import math
from collections.abc import Callable, Iterable, Sequence

from python_ref import training
from python_ref.model import ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON, RMSNORM_EPSILON, Shape
from python_ref.training import Recipe, Run

Vector = list["Value"]
Matrix = list[Vector]


class Value:
    """A number, its gradient, and what it was computed from: pairs (input, derivative by that input)."""

    __slots__ = ("data", "grad", "inputs")

    def __init__(self, data: float, inputs: tuple[tuple["Value", float], ...] = ()) -> None:
        self.data = data
        self.grad = 0.0
        self.inputs = inputs

    def __add__(self, other: "Value") -> "Value":
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other: "Value") -> "Value":
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def shift(self, constant: float) -> "Value":
        """self + constant."""
        return Value(self.data + constant, ((self, 1.0),))

    def scale(self, constant: float) -> "Value":
        """self * constant."""
        return Value(self.data * constant, ((self, constant),))

    def power(self, exponent: float) -> "Value":
        """self to a constant power; self > 0 unless the exponent is a positive integer."""
        return Value(self.data**exponent, ((self, exponent * self.data ** (exponent - 1)),))

    def exp(self) -> "Value":
        """e to the power self."""
        result = math.exp(self.data)
        return Value(result, ((self, result),))

    def log(self) -> "Value":
        """Natural logarithm; self > 0."""
        return Value(math.log(self.data), ((self, 1 / self.data),))

    def relu(self) -> "Value":
        """max(0, self); the derivative at 0 is 0."""
        return Value(max(0.0, self.data), ((self, float(self.data > 0)),))

    def backward(self) -> None:
        """Add the derivative of self with respect to every value it depends on to that value's grad."""
        self.grad = 1.0
        for value in reversed(_inputs_first(self)):
            for source, derivative in value.inputs:
                source.grad += derivative * value.grad


def _inputs_first(root: Value) -> list[Value]:
    """Root and every value it depends on, each after its inputs. Has its own stack, for graphs are deep."""
    ordered = []
    seen = set()
    stack = [(root, False)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            ordered.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack.extend((source, False) for source, _ in value.inputs)
    return ordered


def total(values: Iterable[Value]) -> Value:
    """Sum of at least one value, from the first to the last."""
    first, *rest = values
    for value in rest:
        first = first + value
    return first


def dot(a: Vector, b: Vector) -> Value:
    """Inner product."""
    return total(x * y for x, y in zip(a, b, strict=True))


def add(a: Vector, b: Vector) -> Vector:
    """Sum, element by element."""
    return [x + y for x, y in zip(a, b, strict=True)]


def linear(x: Vector, weight: Matrix) -> Vector:
    """Product of a matrix [outputs][inputs] and a vector [inputs]."""
    return [dot(row, x) for row in weight]


def rmsnorm(x: Vector) -> Vector:
    """x over its root mean square."""
    factor = dot(x, x).scale(1 / len(x)).shift(RMSNORM_EPSILON).power(-0.5)
    return [value * factor for value in x]


def softmax(x: Vector) -> Vector:
    """Exponentials over their sum; first the greatest is subtracted, a constant, so that none overflows."""
    greatest = max(value.data for value in x)
    exponentials = [value.shift(-greatest).exp() for value in x]
    reciprocal = total(exponentials).power(-1)
    return [exponential * reciprocal for exponential in exponentials]


class Gpt:
    """The model for one sequence: fed a token at a time, it keeps the keys and values of the earlier ones."""

    def __init__(self, shape: Shape, parameters: Sequence[float]) -> None:
        self.shape = shape
        self.parameters = [Value(float(parameter)) for parameter in parameters]
        self.weights = {
            name: [
                self.parameters[begin : begin + columns] for begin in range(offset, offset + rows * columns, columns)
            ]
            for name, rows, columns, offset in shape.tensors()
        }
        self.keys: list[Matrix] = [[] for _ in range(shape.n_layer)]
        self.values: list[Matrix] = [[] for _ in range(shape.n_layer)]
        self.position = 0

    def logits(self, token: int) -> Vector:
        """Logits [vocab_size] of the token after this one; at most block_size tokens may be fed."""
        x = rmsnorm(add(self.weights["wte"][token], self.weights["wpe"][self.position]))
        for layer in range(self.shape.n_layer):
            x = add(self._attention(layer, rmsnorm(x)), x)
            x = add(self._mlp(layer, rmsnorm(x)), x)
        self.position += 1
        return linear(x, self.weights["lm_head"])

    def _attention(self, layer: int, x: Vector) -> Vector:
        projections = (self.weights[f"layer{layer}.attn_{name}"] for name in ("wq", "wk", "wv"))
        query, key, value = (linear(x, weight) for weight in projections)
        self.keys[layer].append(key)
        self.values[layer].append(value)
        size = self.shape.head_size
        mixed = []
        for begin in range(0, self.shape.n_embd, size):
            head = slice(begin, begin + size)
            scores = [dot(query[head], earlier[head]).scale(size**-0.5) for earlier in self.keys[layer]]
            attention = softmax(scores)
            columns = zip(*(earlier[head] for earlier in self.values[layer]), strict=True)
            mixed += [dot(attention, list(column)) for column in columns]
        return linear(mixed, self.weights[f"layer{layer}.attn_wo"])

    def _mlp(self, layer: int, x: Vector) -> Vector:
        hidden = [value.relu() for value in linear(x, self.weights[f"layer{layer}.mlp_fc1"])]
        return linear(hidden, self.weights[f"layer{layer}.mlp_fc2"])


def loss_and_gradients(parameters: Sequence[float], shape: Shape, tokens: list[int]) -> tuple[float, list[float]]:
    """Mean cross-entropy of a document in nats, and its derivative with respect to each parameter."""
    gpt = Gpt(shape, parameters)
    losses = []
    for token, target in zip(*shape.split(tokens), strict=True):
        probabilities = softmax(gpt.logits(token))
        losses.append(probabilities[target].log().scale(-1))
    loss = total(losses).scale(1 / len(losses))
    loss.backward()
    return loss.data, [parameter.grad for parameter in gpt.parameters]


class Learner:
    """The model in training; see training.Learner."""

    def __init__(self, shape: Shape, parameters: Sequence[float]) -> None:
        self.shape = shape
        self.parameters = list(parameters)
        self._first = [0.0] * len(self.parameters)
        self._second = [0.0] * len(self.parameters)

    def learn(self, tokens: list[int], step: int, rate: float) -> float:
        """Take one Adam step on a document; returns its loss before the step."""
        loss, gradients = loss_and_gradients(self.parameters, self.shape, tokens)
        for i, gradient in enumerate(gradients):
            self._first[i] = ADAM_BETA1 * self._first[i] + (1 - ADAM_BETA1) * gradient
            self._second[i] = ADAM_BETA2 * self._second[i] + (1 - ADAM_BETA2) * gradient**2
            first = self._first[i] / (1 - ADAM_BETA1 ** (step + 1))
            second = self._second[i] / (1 - ADAM_BETA2 ** (step + 1))
            self.parameters[i] -= rate * first / (math.sqrt(second) + ADAM_EPSILON)
        return loss

    def predict(self, tokens: list[int]) -> list[float]:
        """Logits of the token that follows `tokens`."""
        gpt = Gpt(self.shape, self.parameters)
        *_, last = (gpt.logits(token) for token in tokens)
        return [logit.data for logit in last]


def train(
    documents: Sequence[str],
    shape: Shape,
    recipe: Recipe | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Run:
    """Train and sample as training.train() says; hundreds of times slower than numpy_gpt.train()."""
    return training.train(Learner, documents, shape, recipe or Recipe(), on_step)
