"""The compiled loops and what calls them must be of one version."""

import pytest

from inrcodec.errors import InrError
from inrcodec.kernels import native


@pytest.mark.parametrize("place", range(len(native.LAYOUT)))
def test_loops_of_another_layout_are_refused(place):
    """A library that is older than the sources beside it, as `git pull` leaves it in a checkout."""
    other = list(native.LAYOUT)
    other[place] //= 2
    with pytest.raises(InrError, match=rf"this version \({native.TILE}, .*: build them again"):
        native.check_layout(tuple(other))


def test_a_library_that_does_not_tell_its_layout_is_refused():
    with pytest.raises(InrError, match="build them again"):
        native.check_layout(native.layout_of(object()))
