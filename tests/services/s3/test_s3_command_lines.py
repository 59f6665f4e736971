"""The AWS CLI, s3cmd and rclone, unchanged: what they say and what then lies in the store."""

import asyncio
import os
import random
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real_time, pytest.mark.slow]

AWS = Path(sys.executable).with_name("aws")
S3CMD, RCLONE = shutil.which("s3cmd"), shutil.which("rclone")
BIG = random.Random(3).randbytes(9 * 1024 * 1024)


class Shell:
    """Runs commands against one shop."""

    def __init__(self, shop, url, folder):
        self.shop, self.url, self.folder = shop, url, folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "RCLONE_CONFIG_HERE_TYPE": "s3",
            "RCLONE_CONFIG_HERE_PROVIDER": "Other",
            "RCLONE_CONFIG_HERE_ACCESS_KEY_ID": "test",
            "RCLONE_CONFIG_HERE_SECRET_ACCESS_KEY": "test",
            "RCLONE_CONFIG_HERE_ENDPOINT": url,
            "RCLONE_CONFIG_HERE_FORCE_PATH_STYLE": "true",
            "RCLONE_S3_UPLOAD_CUTOFF": "8M",
        }
        (folder / ".s3cfg").write_text(
            "[default]\naccess_key = test\nsecret_key = test\nuse_https = False\n"
            f"host_base = {url.removeprefix('http://')}\nhost_bucket = {url.removeprefix('http://')}\n"
            "multipart_chunk_size_mb = 5\n"
        )

    async def __call__(self, *command, status=0):
        """Standard output; fails if the command ends otherwise than it should."""
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            env=self.environment,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert status == process.returncode, (command, out, err)
        return out.decode() + (err.decode() if status else "")

    def keys(self, bucket="photos"):
        return list(self.shop.store.buckets[bucket].keys)

    def write(self, name, data):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


@pytest.fixture
async def shell(serve, tmp_path):
    async with serve() as (shop, url):
        yield Shell(shop, url, tmp_path)


async def test_the_aws_cli_copies_syncs_moves_and_removes(shell):
    shell.write("up/in/a b.txt", b"hello")
    shell.write("up/big.bin", BIG)
    await shell(AWS, "s3", "mb", "s3://photos")
    await shell(AWS, "s3", "sync", "up", "s3://photos")
    assert ["big.bin", "in/a b.txt"] == shell.keys()

    listed = await shell(AWS, "s3", "ls", "s3://photos/", "--recursive")
    assert ["9437184 big.bin", "5 in/a b.txt"] == [line[20:].strip() for line in listed.splitlines()]
    await shell(AWS, "s3", "cp", "s3://photos/big.bin", "down.bin")
    assert BIG == (shell.folder / "down.bin").read_bytes()
    await shell(AWS, "s3", "mv", "s3://photos/big.bin", "s3://photos/moved.bin")
    assert ["in/a b.txt", "moved.bin"] == shell.keys()
    assert BIG == shell.shop.store.buckets["photos"].latest("moved.bin").content.read()
    await shell(AWS, "s3", "rm", "s3://photos", "--recursive")
    await shell(AWS, "s3", "rb", "s3://photos")
    assert {} == shell.shop.store.buckets


async def test_the_aws_cli_tells_errors_as_ever(shell):
    told = await shell(AWS, "s3", "ls", "s3://nothing-here", status=255)
    assert "(NoSuchBucket)" in told


@pytest.mark.skipif(S3CMD is None, reason="s3cmd is not installed")
async def test_s3cmd_puts_gets_lists_and_asks(shell):
    shell.write("a b.txt", b"hello")
    shell.write("big.bin", BIG)
    await shell(S3CMD, "mb", "s3://photos")
    await shell(S3CMD, "put", "a b.txt", "s3://photos/in/a b.txt")
    await shell(S3CMD, "put", "big.bin", "s3://photos/big.bin")
    assert ["big.bin", "in/a b.txt"] == shell.keys()

    assert "s3://photos/in/a b.txt" in await shell(S3CMD, "ls", "-r", "s3://photos")
    assert "MD5 sum:   5d41402abc4b2a76b9719d911017c592" in await shell(
        S3CMD, "info", "s3://photos/in/a b.txt"
    )
    assert "none" in await shell(S3CMD, "info", "s3://photos")
    await shell(S3CMD, "get", "s3://photos/big.bin", "down.bin")
    assert BIG == (shell.folder / "down.bin").read_bytes()
    await shell(S3CMD, "cp", "s3://photos/in/a b.txt", "s3://photos/copy")
    await shell(S3CMD, "sync", "--delete-removed", f"{shell.write('new/x', b'1').parent}/", "s3://photos/in/")
    assert ["big.bin", "copy", "in/x"] == shell.keys()
    await shell(S3CMD, "del", "--recursive", "--force", "s3://photos")
    await shell(S3CMD, "rb", "s3://photos")


@pytest.mark.skipif(RCLONE is None, reason="rclone is not installed")
async def test_rclone_copies_checks_lists_and_purges(shell):
    shell.write("up/in/a b.txt", b"hello")
    shell.write("up/big.bin", BIG)
    await shell(RCLONE, "mkdir", "here:photos")
    await shell(RCLONE, "copy", "up", "here:photos")
    assert ["big.bin", "in/a b.txt"] == shell.keys()

    assert ["big.bin", "in/a b.txt"] == sorted(
        (await shell(RCLONE, "lsf", "-R", "--files-only", "here:photos")).split("\n")[:-1]
    )
    await shell(RCLONE, "check", "--download", "up", "here:photos")
    await shell(RCLONE, "moveto", "here:photos/big.bin", "here:photos/moved.bin")
    assert BIG == (await shell_bytes(shell, "here:photos/moved.bin"))
    await shell(RCLONE, "purge", "here:photos")
    assert {} == shell.shop.store.buckets


async def shell_bytes(shell, name):
    """The object as rclone writes it to a file."""
    await shell(RCLONE, "copyto", name, "down.bin")
    return (shell.folder / "down.bin").read_bytes()
