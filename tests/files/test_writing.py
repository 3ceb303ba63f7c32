"""What a file that is saved takes the place of, and what it leaves alone."""

import errno
import os
import socket
import stat

import pytest
from conftest import assert_same_bits, make_network

import backprop as bp
from backprop.files.writing import write_whole


@pytest.fixture
def net():
    return make_network((3, 2), "tanh")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fspath(path))


@pytest.mark.skipif(os.name != "posix", reason="needs FIFOs and sockets")
@pytest.mark.parametrize(
    ("make", "number", "kind"),
    [
        (os.mkfifo, errno.EINVAL, "a FIFO"),
        (make_socket, errno.EINVAL, "a socket"),
        (os.mkdir, errno.EISDIR, "a folder"),
    ],
)
def test_only_regular_files_are_replaced(net, tmp_path, monkeypatch, make, number, kind):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    make("there")
    before = stat.S_IFMT(os.stat("there").st_mode)
    with pytest.raises(OSError, match=f"only a regular file can be replaced, but this is {kind}") as raised:
        net.save("there")
    assert (raised.value.errno, raised.value.filename) == (number, "there")
    assert stat.S_IFMT(os.stat("there").st_mode) == before
    assert names(tmp_path) == ["there"]


@pytest.mark.skipif(os.name != "posix", reason="needs modes")
def test_the_mode_stays(net, tmp_path):
    path = tmp_path / "net"
    umask = os.umask(0o022)
    try:
        net.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        for mode in (0o600, 0o664, 0o444):
            path.chmod(mode)
            net.save(path)
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(umask)


@pytest.mark.skipif(not hasattr(os, "fchown"), reason="needs owners")
def test_the_owner_stays_where_that_is_allowed(tmp_path, monkeypatch):
    asked = []

    def refuse(file, owner, group):
        asked.append((owner, group))
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    path = tmp_path / "file"
    write_whole(path, b"old")
    assert asked == []
    write_whole(path, b"new")
    assert asked == [(path.stat().st_uid, path.stat().st_gid)]
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_links(net, tmp_path):
    """A symbolic link is followed, also to a file that is not there yet; another name keeps what it had."""
    path, link, other = tmp_path / "net", tmp_path / "link", tmp_path / "other"
    link.symlink_to("net")
    net.save(link)
    os.link(path, other)
    old = path.read_bytes()
    net.parameters[:] = 1
    net.save(link)
    assert link.is_symlink()
    assert_same_bits(bp.load(path).parameters, net.parameters)
    assert other.read_bytes() == old
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        net.save(loop)
    assert loop.is_symlink()


@pytest.mark.parametrize("supported", [False, True])
def test_a_folder_that_cannot_be_synced(net, tmp_path, monkeypatch, supported):
    """The file is written all the same: with a warning where the system should have synced."""
    fsync = os.fsync

    def failing(file):
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EIO if supported else errno.EINVAL, "no")
        fsync(file)

    path = tmp_path / "net"
    net.save(path)
    net.parameters[:] = 1
    monkeypatch.setattr(os, "fsync", failing)
    if supported:
        with pytest.warns(RuntimeWarning, match="net is written, but may not outlast a crash"):
            net.save(path)
    else:
        net.save(path)
    assert_same_bits(bp.load(path).parameters, net.parameters)
    assert names(tmp_path) == ["net"]


def test_a_name_as_long_as_names_may_be(net, tmp_path):
    path = tmp_path / ("n" * 255)
    net.save(path)
    assert_same_bits(bp.load(path).parameters, net.parameters)
