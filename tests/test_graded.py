"""Tables of pyramids: numbers and what they stand for, and that means are told finely where scales are small."""

from fractions import Fraction

import numpy as np

from inrcodec.entropy.graded import TABLES, choose
from inrcodec.entropy.tables import SCALES, laplace


def every_choice():
    """Mean and log2 scale, in 1/32, that cover all tables."""
    mean, scale = np.meshgrid(np.arange(-70, 71), np.arange(-200, 300))
    return mean.ravel().astype(np.float64), scale.ravel().astype(np.float64)


def test_every_number_is_a_table_of_its_own():
    numbers = np.unique(choose(*every_choice())[1])
    assert numbers.tolist() == list(range(256))
    tables = [TABLES[number] for number in range(256)]
    assert len({id(table) for table in tables}) == 256
    assert {id(table) for table in tables} >= {
        id(laplace(index, 0, 16 >> min(index // 8, 4))) for index in range(SCALES)
    }


def test_a_table_has_the_mean_that_chose_it():
    """To half a part: a 32nd of a symbol at the smallest scales, half a symbol at large ones."""
    mean, scale = every_choice()
    whole, numbers = choose(mean, scale)
    center = np.array([_mean(number) for number in range(256)])[numbers] + whole
    index = (np.floor((scale + 4) / 8) + 19).clip(0, SCALES - 1)
    half_a_part = 0.5 / (16 >> np.minimum(index // 8, 4).astype(int))
    assert (np.abs(center - mean / 32) <= half_a_part).all()


def _mean(number: int) -> float:
    """Of a table, by the probabilities beyond half a symbol on both sides of 0: q(1 + m / b) is how they differ."""
    for index in range(SCALES):
        parts = 16 >> min(index // 8, 4)
        for part in range(-(parts // 2), max(parts // 2, 1)):
            if TABLES[number] is laplace(index, part, parts):
                return float(Fraction(part, parts))
    raise AssertionError(f"table {number} is none of the grades'")


def test_a_mean_between_symbols_costs_little():
    """Symbols of a narrow distribution around 0.3, coded by the table it chooses: within 2 % of what a table of its own takes."""
    scale_index, mean = 6, 0.3
    b = 2 ** ((scale_index - 19) / 4)
    symbols = np.arange(-3, 4)
    edges = np.concatenate([symbols - 0.5, symbols[-1:] + 0.5]) - mean
    below = np.where(edges < 0, 0.5 * np.exp(np.minimum(edges, 0) / b), 1 - 0.5 * np.exp(-np.maximum(edges, 0) / b))
    probabilities = np.diff(below)
    whole, number = choose(np.array([mean * 32]), np.array([(scale_index - 19) * 8.0]))
    told = TABLES[int(number[0])].symbol_bits(symbols - whole[0])
    ideal = -(probabilities * np.log2(np.maximum(probabilities, 2.0**-24))).sum()
    quarter = laplace(scale_index, 1).symbol_bits(symbols)
    assert (probabilities * told).sum() < 1.02 * ideal < (probabilities * quarter).sum()
