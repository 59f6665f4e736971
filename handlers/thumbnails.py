"""Makes thumbnails with Pillow: of an image posted over HTTP, or of objects put into a bucket.

Needs Pillow: on Lambda as a layer or in the zip file, here `pip install invocation-engine[handlers]`.
Reading from and writing to S3 takes boto3, which Lambda's runtime brings along; where it is missing or
no `THUMBNAIL_BUCKET` is set, an image is drawn instead, so that the work is real without a store.
"""

import base64
import binascii
import io
import json
import os
import urllib.parse

from PIL import Image, UnidentifiedImageError

try:
    import boto3
except ImportError:
    boto3 = None

EDGE_PX = 128
MAX_PIXELS = 40_000_000


class NotAnImage(ValueError):
    """The bytes are no image, or one of too many pixels."""


def handler(event, context):
    """S3 notification, HTTP request with an image, or `{"image": "<base64>", "edge": 64}`."""
    if "Records" in event:
        return {"thumbnails": [of_object(record["s3"]) for record in event["Records"]]}
    if "requestContext" in event:
        return answer(event)
    source = base64.b64decode(event["image"]) if event.get("image") else sample()
    image, size = shrink(source, int(event.get("edge", EDGE_PX)))
    return {"width": size[0], "height": size[1], "image": base64.b64encode(image).decode()}


def answer(event):
    """The posted image as a JPEG; without a body a drawn one. 415 if it is no image."""
    body = event.get("body") or ""
    query = event.get("queryStringParameters") or {}
    try:
        source = base64.b64decode(body, validate=True) if body else sample()
        image, _ = shrink(source, int(query.get("edge", EDGE_PX)))
    except (NotAnImage, binascii.Error) as error:
        return problem(415, str(error))
    except ValueError as error:
        return problem(400, str(error))
    return {
        "statusCode": 200,
        "headers": {"content-type": "image/jpeg"},
        "body": base64.b64encode(image).decode(),
        "isBase64Encoded": True,
    }


def problem(status, message):
    """An HTTP answer in JSON."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"message": message}),
    }


def of_object(s3):
    """Thumbnail of one new object, put under `thumbnails/` of the bucket in THUMBNAIL_BUCKET."""
    bucket, key = s3["bucket"]["name"], urllib.parse.unquote_plus(s3["object"]["key"])
    target = os.environ.get("THUMBNAIL_BUCKET")
    if boto3 is None or not target:
        image, size = shrink(sample(), EDGE_PX)
    else:
        store = boto3.client("s3")
        image, size = shrink(store.get_object(Bucket=bucket, Key=key)["Body"].read(), EDGE_PX)
        store.put_object(Bucket=target, Key=f"thumbnails/{key}.jpg", Body=image, ContentType="image/jpeg")
    print(f"{bucket}/{key}: {size[0]}x{size[1]}, {len(image)} bytes")
    return {"key": key, "width": size[0], "height": size[1], "bytes": len(image)}


def shrink(source, edge_px):
    """JPEG bytes that fit a square of `edge_px`, and their (width, height). Keeps the proportions."""
    if not 1 <= edge_px <= 2048:
        raise ValueError(f"edge must be from 1 to 2048, not {edge_px}")
    try:
        with Image.open(io.BytesIO(source)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise NotAnImage(f"more than {MAX_PIXELS} pixels")
            image.thumbnail((edge_px, edge_px), Image.Resampling.LANCZOS)
            out = io.BytesIO()
            image.convert("RGB").save(out, "JPEG", quality=85)
            return out.getvalue(), image.size
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise NotAnImage(f"not an image: {error}") from None


def sample():
    """A drawn picture of 640 by 480, as PNG."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((640, 480)).convert("RGB").save(out, "PNG", compress_level=1)
    return out.getvalue()
