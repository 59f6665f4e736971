"""boto3 over https, through a proxy that ends TLS: what it sends is framed in aws-chunks, with trailers."""

import asyncio
import contextlib
import datetime
import io
import ipaddress
import random
import ssl

import anyio.to_thread
import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

pytestmark = pytest.mark.real_time

BIG = random.Random(11).randbytes(9 * 1024 * 1024)


@pytest.fixture
def certificate(tmp_path):
    """A file with a certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


async def pump(reader, writer):
    """All that comes, until the other end goes."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture
async def shop(serve, certificate):
    """A shop, and boto3 that reaches it by https."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    connections = set()
    async with serve() as (shop, url):
        port = int(url.rpartition(":")[2])

        async def forward(reader, writer):
            connections.add(asyncio.current_task())
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, upstream_writer), pump(upstream_reader, writer))

        proxy = await asyncio.start_server(forward, "127.0.0.1", 0, ssl=context)
        client = boto3.client(
            "s3",
            endpoint_url=f"https://127.0.0.1:{proxy.sockets[0].getsockname()[1]}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            verify=str(certificate),
        )
        shop.store.create("photos", "us-east-1")
        yield shop, client
        client.close()
        proxy.close()
        await asyncio.gather(*connections)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
async def test_a_put_is_framed_and_its_trailer_is_checked(shop, algorithm):
    shop, client = shop
    sent = []
    watch = lambda request, **_: sent.append(request.headers["x-amz-content-sha256"])  # noqa: E731
    client.meta.events.register("before-send.s3", watch)

    def work():
        put = client.put_object(
            Bucket="photos", Key="k", Body=b"hello", ChecksumAlgorithm=algorithm, ContentEncoding="gzip"
        )
        return put, client.head_object(Bucket="photos", Key="k", ChecksumMode="ENABLED")

    put, head = await anyio.to_thread.run_sync(work)

    assert b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" == sent[0]
    assert put[f"Checksum{algorithm}"] == head[f"Checksum{algorithm}"]
    assert (5, "gzip") == (head["ContentLength"], head["ContentEncoding"])
    assert b"hello" == shop.store.buckets["photos"].latest("k").content.read()


async def test_large_files_go_up_in_framed_parts(shop):
    shop, client = shop
    await anyio.to_thread.run_sync(lambda: client.upload_fileobj(io.BytesIO(BIG), "photos", "big"))

    assert BIG == shop.store.buckets["photos"].latest("big").content.read()
