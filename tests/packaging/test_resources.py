"""resources: the packaged data wins, then the checkout's, and an incomplete place counts as none."""

from __future__ import annotations

from pathlib import Path

import pytest

from protogen.resources import FOLDERS, DataMissing, data_root, find_data_root


def make(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
    return root


def test_packaged_data_wins_over_a_checkout(tmp_path: Path) -> None:
    packaged, checkout = make(tmp_path / "p", *FOLDERS), make(tmp_path / "c", *FOLDERS)
    assert find_data_root(packaged=packaged, checkout=checkout) == packaged


@pytest.mark.parametrize("there", [(), ("templates",), ("schemas",)])
def test_checkout_is_used_where_the_packaged_data_is_incomplete(tmp_path: Path, there: tuple[str, ...]) -> None:
    packaged, checkout = make(tmp_path / "p", *there), make(tmp_path / "c", *FOLDERS)
    assert find_data_root(packaged=packaged, checkout=checkout) == checkout


def test_neither_place_is_an_error_that_names_both(tmp_path: Path) -> None:
    packaged, checkout = tmp_path / "p", make(tmp_path / "c", "templates")
    with pytest.raises(DataMissing) as raised:
        find_data_root(packaged=packaged, checkout=checkout)
    assert str(packaged) in str(raised.value)
    assert str(checkout) in str(raised.value)


def test_checkout_finds_itself(root: Path) -> None:
    assert data_root() == root
