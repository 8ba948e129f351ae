"""The shape of a model, and the number of parameters it has."""

from dataclasses import dataclass, fields

from mgbuild.errors import UserError

# Far above what any target here can hold: they catch a slip of the finger before an array of gigabytes does.
LIMITS = {"n_embd": 1024, "n_head": 1024, "n_layer": 64, "block_size": 1024, "vocab_size": 256}
MOST_BYTES = 2**31  # of the training memory: a 32-bit address space, with room


def check_heads(n_embd: int, n_head: int) -> None:
    """Raise UserError, naming the nearest shapes that work, unless n_embd is a multiple of n_head."""
    if n_embd % n_head == 0:
        return
    below = n_embd // n_head * n_head
    widths = [str(width) for width in (below, below + n_head) if 0 < width <= LIMITS["n_embd"]]
    divisors = [heads for heads in range(1, n_embd + 1) if n_embd % heads == 0]
    lower = max(heads for heads in divisors if heads < n_head)
    heads = [str(lower), *(str(heads) for heads in divisors if heads > n_head)][:2]
    raise UserError(
        f"n_embd={n_embd} is not divisible by n_head={n_head}; "
        f"nearest: n_embd={' or '.join(widths)} with n_head={n_head}, "
        f"or n_head={' or '.join(heads)} with n_embd={n_embd}"
    )


@dataclass(frozen=True)
class Shape:
    """Sizes that fix every array of the model; vocab_size counts the characters and BOS."""

    n_embd: int
    n_head: int
    n_layer: int
    block_size: int
    vocab_size: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value, limit = getattr(self, field.name), LIMITS[field.name]
            if not 1 <= value <= limit:
                raise UserError(f"{field.name}={value} must be from 1 to {limit}")
        check_heads(self.n_embd, self.n_head)
        if self.memory_bytes > MOST_BYTES:
            raise UserError(
                f"a model of {self.parameters:,} parameters trains in {self.memory_bytes:,} bytes, and no target here "
                f"addresses more than {MOST_BYTES:,}; make n_embd, n_layer or block_size smaller"
            )

    @property
    def memory_bytes(self) -> int:
        """About what training takes: parameters and two moments, and the activations of every layer."""
        scores = self.n_head * self.block_size**2
        return 4 * (3 * self.parameters + self.n_layer * (scores + 10 * self.block_size * self.n_embd))

    @property
    def parameters(self) -> int:
        """Number of float32 parameters: wte, wpe, lm_head, and per layer wq, wk, wv, wo, fc1, fc2."""
        embeddings = (2 * self.vocab_size + self.block_size) * self.n_embd
        return embeddings + self.n_layer * 12 * self.n_embd**2
