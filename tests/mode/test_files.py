"""Files on this machine: followed as they grow, lent and taken back."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ccnb.mode import _files
from ccnb.store import RunFolder

UID = 52017
OTHER = 40_001


@pytest.fixture
def folder(tmp_path):
    """Return a run's folder."""
    made = RunFolder(tmp_path / "run")
    made.make()
    return made


def read(folder, offset, until):
    """Follow a file until so many bytes have come; return them."""

    async def work():
        got = b""
        async for chunk in _files.follow(folder, "out", offset):
            got += chunk
            if len(got) >= until:
                return got
        raise AssertionError

    return asyncio.run(asyncio.wait_for(work(), 60))


@pytest.mark.parametrize("offset", [0, 1, 5])
def test_a_file_is_read_from_any_offset(folder, offset):
    file = folder.inside / "out"
    file.write_bytes(b"\xff\x00bytes\n as they are")
    expected = file.read_bytes()[offset:]
    assert read(folder, offset, len(expected)) == expected


def test_a_file_larger_than_a_chunk_comes_whole(folder):
    file = folder.inside / "out"
    data = os.urandom(2 * _files.CHUNK + 77)
    file.write_bytes(data)
    assert read(folder, 0, len(data)) == data


def test_what_is_added_later_comes_once_and_nothing_new_is_an_empty_chunk(folder):
    file = folder.inside / "out"

    async def work():
        got = []
        async for chunk in _files.follow(folder, "out", 0):
            got.append(chunk)
            if not file.exists():
                file.write_bytes(b"one")
            elif b"".join(got) == b"one" and len(got) < 90:
                continue
            elif b"".join(got) == b"one":
                with file.open("ab") as more:
                    more.write(b"two")
            elif b"".join(got) == b"onetwo":
                return got
        return got

    got = asyncio.run(asyncio.wait_for(work(), 60))
    assert b"".join(got) == b"onetwo"
    assert got[0] == b""  # it was not there yet
    assert got.count(b"") > 80


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_gives_nothing_and_holds_nobody_up(folder, kind):
    """The agent can write in the folder: a link would show us a file that it can't read itself."""
    if kind == "link":
        (folder.path / "secret").write_text("of the host")
        (folder.inside / "out").symlink_to(folder.path / "secret")
    else:
        os.mkfifo(folder.inside / "out")

    async def work():
        follower = _files.follow(folder, "out", 0)
        return [await anext(follower) for _ in range(3)]

    assert asyncio.run(asyncio.wait_for(work(), 60)) == [b"", b"", b""]


def test_the_file_is_closed_when_nobody_follows_any_more(folder):
    file = folder.inside / "out"
    file.write_bytes(b"x")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None  # noqa: PTH112, PTH208 - it counts what is open
    if before is None:
        pytest.skip("no /proc here")

    async def work():
        follower = _files.follow(folder, "out", 0)
        assert await anext(follower) == b"x"
        await follower.aclose()
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - see above

    assert asyncio.run(work()) <= before + 4  # the loop's own


# Ownership


@pytest.fixture
def tree(tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root gives files away")
    folder = tmp_path / "workspace"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "mine").write_text("x")
    (folder / "deep" / "theirs").write_text("x")
    os.chown(folder / "deep" / "theirs", OTHER, OTHER)
    (folder / "deep" / "er" / "\udcff name\n").write_text("x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("not yours")
    (folder / "link-to-folder").symlink_to(outside)
    (folder / "deep" / "link-to-file").symlink_to(outside / "file")
    (folder / "dangling").symlink_to("nowhere")
    return folder


def owners_of(folder):
    found = {".": folder.lstat()}
    for root, names, files in os.walk(folder):
        for name in (*names, *files):
            path = os.path.join(root, name)  # noqa: PTH118 - as os.walk gives it
            found[os.path.relpath(path, folder)] = os.lstat(path)
    return {path: (status.st_uid, status.st_gid) for path, status in found.items()}


def test_all_that_is_lent_belongs_to_the_user_links_themselves_included(tree):
    _files.lend(tree, UID)
    assert {uid for uid, _ in owners_of(tree).values()} == {UID}


def test_nothing_behind_a_link_is_lent_or_taken(tree):
    outside = tree.parent / "outside"
    before = owners_of(outside)
    _files.lend(tree, UID)
    assert owners_of(outside) == before
    os.chown(outside / "file", UID, UID)  # as if it were the user's own elsewhere
    _files.reclaim(tree, UID, {})
    assert (outside / "file").stat().st_uid == UID


def test_what_goes_while_a_folder_is_lent_is_no_hindrance(tree):
    """The person's own programs, and other runs, may work there meanwhile."""
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            for number in range(20):
                (tree / f"brief{number}").touch()
            for number in range(20):
                (tree / f"brief{number}").unlink()

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(come_and_go)
        try:
            for number in range(300):
                _files.lend(tree, UID + number % 2)
        finally:
            over.set()
        coming.result()


def test_what_was_lent_comes_back_to_whom_it_belonged(tree):
    before = owners_of(tree)
    earlier = _files.owners(tree, UID)
    assert earlier == {"deep/theirs": (OTHER, OTHER)}
    _files.lend(tree, UID)
    _files.reclaim(tree, UID, earlier)
    assert owners_of(tree) == before


def test_what_the_user_made_becomes_ours_and_what_others_made_stays_theirs(tree):
    _files.lend(tree, UID)
    for name, uid in (("made", UID), ("foreign", OTHER)):
        (tree / name).write_text("x")
        os.chown(tree / name, uid, uid)
    _files.reclaim(tree, UID, {})
    owners = owners_of(tree)
    assert owners["made"] == (os.getuid(), os.getgid())
    assert owners["foreign"] == (OTHER, OTHER)


def test_the_owners_survive_json(tree):
    before = owners_of(tree)
    earlier = json.loads(json.dumps(_files.owners(tree, UID)))
    _files.lend(tree, UID)
    _files.reclaim(tree, UID, earlier)
    assert owners_of(tree) == before
