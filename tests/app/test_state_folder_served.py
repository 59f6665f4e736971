"""`--state-dir` as a user meets it: nothing of theirs is lost, and nothing that was acknowledged either."""

import json
import os
import shutil
import stat
import subprocess
import sys
import threading

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = pytest.mark.real_time


def refused(folder):
    """What `engine serve` says to a folder that it does not use."""
    command = [sys.executable, "-m", "engine", "serve", "--state-dir", folder, "--log-format", "off"]
    for listener in ("http", "aws", "admin"):
        command += [f"--{listener}", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=100, text=True)

    assert (2, "") == (done.returncode, done.stdout)
    assert 1 == done.stderr.count("\n")
    return done.stderr


def everything(folder):
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


def test_a_project_with_folders_of_our_names_is_refused_and_not_touched(tmp_path):
    """`--state-dir .` in it."""
    for name in ("packages/lib/index.js", "objects/main.o", "src/app.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("mine")
    before = everything(tmp_path)
    said = refused(tmp_path)

    assert said.startswith(f"error: {tmp_path}: is neither empty nor a state folder of the engine")
    assert before == everything(tmp_path)


@pytest.fixture(scope="module")
def kept(serve, tmp_path_factory):
    """A state folder with a function and an object, of an engine that ended."""
    folder = tmp_path_factory.mktemp("kept") / "state"
    with serve("--state-dir", str(folder)) as served:
        served.create("f", "def handler(event, context):\n    return 1\n")
        served.client("s3").create_bucket(Bucket="b-1")
        served.client("s3").put_object(Bucket="b-1", Key="k", Body=b"x" * 100)
    return folder


@pytest.mark.parametrize("part", ["objects", "packages", "state.json", "objects/index.sqlite3"])
def test_a_part_of_the_folder_that_is_gone_is_one_line_and_nothing_is_changed(kept, tmp_path, part):
    """The engine does not start as if nothing had been there."""
    folder = tmp_path / "state"
    shutil.copytree(kept, folder)
    shutil.rmtree(folder / part) if (folder / part).is_dir() else (folder / part).unlink()
    before = everything(folder)

    assert f"error: {folder / part}: is missing, and was there before: nothing was changed\n" == refused(
        folder
    )
    assert before == everything(folder)


@pytest.mark.parametrize(
    "place", ["/proc/state", "/proc/deep/state", "/dev/null/state", "/proc/self/fdinfo/x"]
)
def test_a_folder_that_cannot_be_made_is_one_line(place):
    """Whatever the system says to it, and whoever runs the engine."""
    assert "cannot be used as state folder: " in refused(place)


@pytest.mark.parametrize(("name", "how"), [("state.json", "missing"), ("objects/index.sqlite3", "empty")])
def test_an_index_that_is_lost_is_one_line_and_nothing_is_changed(kept, tmp_path, name, how):
    """Neither in its part of the folder nor in the other."""
    folder = tmp_path / "state"
    shutil.copytree(kept, folder)
    unnamed = folder / "packages" / "00000000-0000-4000-8000-000000000000"
    shutil.copytree(next((kept / "packages").iterdir()), unnamed)
    (folder / name).unlink() if how == "missing" else (folder / name).write_bytes(b"")
    before = everything(folder)

    assert f"error: {folder / name}: is " in refused(folder)
    assert before == everything(folder)


def test_a_damaged_state_file_is_one_line(kept, tmp_path):
    folder = tmp_path / "state"
    shutil.copytree(kept, folder)
    (folder / "state.json").write_text("{")

    assert refused(folder).startswith(f"error: {folder}/state.json: is damaged")


def test_a_folder_that_another_engine_uses_is_one_line(serve, tmp_path):
    with serve("--state-dir", str(tmp_path)):
        before = everything(tmp_path)

        assert f"error: {tmp_path}: another engine uses this state folder\n" == refused(tmp_path)
        assert before == everything(tmp_path)


def test_files_are_for_their_owner_alone(kept):
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in [kept, *kept.rglob("*")]}

    assert {(True, 0o700), (False, 0o600)} == modes


def test_objects_whose_files_are_gone_are_one_line_and_an_error_of_s3(serve, tmp_path):
    """However often they are asked for; what is known of them without their bytes is answered."""
    with serve("--state-dir", str(tmp_path)) as served:
        s3 = served.client("s3")
        s3.create_bucket(Bucket="b-1")
        for size in (100, 5_000_000):
            s3.put_object(Bucket="b-1", Key=str(size), Body=b"x" * size)
        for file in (tmp_path / "objects" / "blobs").glob("*/*"):
            file.unlink()
        codes = set()
        for size in ("100", "5000000", "100"):
            with pytest.raises(ClientError) as refused:
                s3.get_object(Bucket="b-1", Key=size)
            codes.add(refused.value.response["Error"]["Code"])
        length = s3.head_object(Bucket="b-1", Key="100")["ContentLength"]
        served.process.terminate()
        said = served.process.stderr.read().decode().partition("\n")[2]  # after the line at the start

    assert ({"InternalError"}, 100) == (codes, length)
    assert 1 == said.count("\n")
    assert said.startswith(
        "the object store cannot read or write its files: [Errno 2] No such file or directory"
    )


def test_code_that_cannot_be_read_is_one_line_and_an_error_of_lambda(serve, tmp_path):
    """An archive in a bucket, whose file is gone."""
    with serve("--state-dir", str(tmp_path)) as served:
        s3 = served.client("s3")
        s3.create_bucket(Bucket="b-1")
        s3.put_object(Bucket="b-1", Key="k", Body=b"x" * 100)
        for file in (tmp_path / "objects" / "blobs").glob("*/*"):
            file.unlink()
        with pytest.raises(ClientError) as refused:
            served.create("f", "", Code={"S3Bucket": "b-1", "S3Key": "k"})
        served.process.terminate()
        said = served.process.stderr.read().decode().partition("\n")[2]  # after the line at the start

    assert "ServiceException" == refused.value.response["Error"]["Code"]
    assert 1 == said.count("\n")
    assert "No such file" in said


class Writer(threading.Thread):
    """Puts, replaces and deletes objects and functions of its own, and knows what was acknowledged."""

    def __init__(self, number, address, archive, until):
        super().__init__()
        self._number, self._archive, self._until = number, archive, until
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
        config = Config(retries={"max_attempts": 0})
        self._s3 = boto3.client("s3", endpoint_url=address, config=config, **keys)
        self._lambda = boto3.client("lambda", endpoint_url=address, config=config, **keys)
        self.objects, self.functions, self.unsure = {}, set(), set()

    def run(self):
        try:
            for count in range(10_000):
                self._object(f"k{self._number}-{count % 7}", b"%d" % count * 1000, deleted=count % 5 == 4)
                self._create(f"f{self._number}-{count}")
                if count > 1:
                    self._drop(f"f{self._number}-{count - 2}")
        except (ClientError, BotoCoreError):
            assert self._until.is_set()  # the engine is gone, as it should be
        finally:
            self._s3.close()
            self._lambda.close()

    def _object(self, key, data, *, deleted):
        self.unsure.add(key)  # whether it took place is known once it is answered
        if deleted:
            self._s3.delete_object(Bucket="b-1", Key=key)
            self.objects.pop(key, None)
        else:
            self._s3.put_object(Bucket="b-1", Key=key, Body=data)
            self.objects[key] = data
        self.unsure.remove(key)

    def _create(self, name):
        self.unsure.add(name)
        self._lambda.create_function(
            FunctionName=name,
            Role="arn:aws:iam::000000000000:role/any",
            Runtime="python3.12",
            Handler="app.handler",
            Code={"ZipFile": self._archive},
        )
        self.functions.add(name)
        self.unsure.remove(name)

    def _drop(self, name):
        self._lambda.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.02})
        self.unsure.add(name)
        self._lambda.delete_function(FunctionName=name)
        self.functions.remove(name)
        self.unsure.remove(name)


def test_a_kill_in_the_midst_of_writes_loses_nothing_that_was_acknowledged(serve, package, tmp_path):
    """Twice, so that what the first kill left is met as well."""
    folder, archive = tmp_path / "state", package({"app.py": "def handler(event, context):\n    return 1\n"})
    objects, functions, unsure = {}, set(), set()
    for turn in range(2):
        with serve("--state-dir", str(folder)) as served:
            if not turn:
                served.client("s3").create_bucket(Bucket="b-1")
            killed = threading.Event()
            writers = [
                Writer(number + 10 * turn, served.addresses["aws"], archive, killed) for number in range(3)
            ]
            for writer in writers:
                writer.start()
            while not all(len(writer.objects) > 3 or not writer.is_alive() for writer in writers):
                killed.wait(0.02)
            killed.set()
            served.process.kill()
            for writer in writers:
                writer.join()
        for writer in writers:
            objects |= writer.objects
            functions |= writer.functions
            unsure |= writer.unsure
    with serve("--state-dir", str(folder)) as served:
        s3 = served.client("s3")
        keys = {one["Key"] for one in s3.list_objects_v2(Bucket="b-1")["Contents"]}
        read = {key: s3.get_object(Bucket="b-1", Key=key)["Body"].read() for key in keys - unsure}
        names = {one["FunctionName"] for one in served.lambda_.list_functions()["Functions"]}
        result, _ = served.invoke(min(functions - unsure))

        assert {key: data for key, data in objects.items() if key not in unsure} == read
        assert functions - unsure == names - unsure
        assert 1 == result
        blobs = [path for path in (folder / "objects" / "blobs").rglob("*") if path.is_file()]
        assert len(keys) == len(blobs)
        assert len(names) == len(os.listdir(folder / "packages"))


class Reader(threading.Thread):
    """Reads the state file again and again, and notes packages that it names and that are gone."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self._folder, self.until, self.missing = folder, threading.Event(), set()

    def run(self):
        file, text = self._folder / "state.json", b""
        while not self.until.is_set():
            there = set(os.listdir(self._folder / "packages"))
            before, text = text, file.read_bytes()
            if text != before:
                continue  # what was listed may be older than the text
            for record in json.loads(text)["functions"].values():
                self.missing |= {record["latest"]["folder"]} - there


def test_a_package_is_removed_after_the_state_file_stopped_naming_it(serve, tmp_path):
    """Whenever the engine is killed, the code of every function that it starts with is there."""
    with serve("--state-dir", str(tmp_path)) as served:
        for number in range(20):
            served.create(f"f{number}", "def handler(event, context):\n    return 1\n")
        reader = Reader(tmp_path)
        reader.start()
        for number in range(20):
            served.lambda_.delete_function(FunctionName=f"f{number}")
        reader.until.set()
        reader.join()

    assert set() == reader.missing
