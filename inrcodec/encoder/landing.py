"""How a pyramid of single planes lands at an asked size or quality: its symbols are chosen once more, by another rate_lambda.

Symbols of such fits lean on each other: any other threshold of rounding (`trim`) takes more bits, and coarser steps leave nothing
of the picture. What a larger or smaller rate_lambda chooses (`choice`) trades bits for quality at about its price.
"""

from __future__ import annotations

from collections.abc import Callable

from inrcodec.encoder.batches import Samples
from inrcodec.encoder.choice import Choice
from inrcodec.segment import CodedField

FACTOR, POWERS = 1.15, (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""rate_lambda is multiplied or divided with powers of a factor, until the field lands; fits end within some percents."""
TRIES = 4
"""On each level, at each of them."""


def landed(
    coded: CodedField,
    samples: Samples,
    lambda_per_bit: float,
    value: Callable[[CodedField], float],
    window: tuple[float, float],
    below: bool,
    stopped: Callable[[], bool] = lambda: False,
) -> CodedField:
    """A field whose value lies in the window; else, of those that were found, the nearest one that keeps to its right side: is
    no larger than its upper end, or no smaller than its lower one; else the nearest one.

    coded: as it was chosen by lambda_per_bit. value: what falls as that grows, bits or PSNR. below: which side is the right one.
    stopped: whether there is no time left for it.
    """
    low, high = window
    seen = [(coded, value(coded))]
    falls = seen[0][1] > high

    def ended(found: float) -> bool:
        return found <= high if falls else found >= low

    for power in POWERS:
        if ended(seen[-1][1]) or stopped():
            break
        choice = Choice(seen[-1][0], samples, lambda_per_bit * FACTOR ** (power if falls else -power))
        tried = choice.made(TRIES, stopped, enough=lambda one: ended(value(one)))
        seen.append((tried, value(tried)))
    right = [one for one in seen if (one[1] <= high if below else one[1] >= low)]
    return min(right or seen, key=lambda one: max(low - one[1], one[1] - high))[0]
