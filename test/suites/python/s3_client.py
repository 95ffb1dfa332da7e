"""A visitor of an S3 server by boto3, without retries, and of its presigned URLs. Arguments: address, way (not used), folder (not used)."""

import hashlib
import io
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import boto3
import requests
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from suite_checks import check, report, same

BASE = sys.argv[1]
MIB = 1 << 20
BUCKET = "suite"

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
s3 = boto3.client(
    "s3",
    endpoint_url=BASE,
    region_name="us-east-1",
    aws_access_key_id="suite",
    aws_secret_access_key="none",
    config=Config(
        signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, max_pool_connections=20
    ),
)
by_parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
large = os.urandom(24 * MIB + 17)


def body_of(key, **fields):
    return s3.get_object(Bucket=BUCKET, Key=key, **fields)["Body"].read()


def refused(call, code):
    try:
        call()
    except ClientError as error:
        same(error.response["Error"]["Code"], code)
    else:
        raise AssertionError("not refused")


@check("a bucket")
def _():
    s3.create_bucket(Bucket=BUCKET)
    same([bucket["Name"] for bucket in s3.list_buckets()["Buckets"]], [BUCKET])


for size in (0, 1, 70_000, 3 * MIB):

    @check(f"an object of {size} bytes comes back")
    def _():
        sent = os.urandom(size)
        same(s3.put_object(Bucket=BUCKET, Key=f"of-{size}", Body=sent)["ETag"], f'"{hashlib.md5(sent).hexdigest()}"')
        assert body_of(f"of-{size}") == sent


@check("an object from a stream, after 100 Continue")
def _():
    sent = os.urandom(MIB)
    s3.put_object(Bucket=BUCKET, Key="stream", Body=io.BytesIO(sent))
    assert body_of("stream") == sent


@check("names of every kind")
def _():
    for key in ("a b/c", "ü/日本", "a+b", "100%25", "a&b=c?d#e", "a//b", "(x)'y*!~"):
        s3.put_object(Bucket=BUCKET, Key=f"names/{key}", Body=key.encode())
        same(body_of(f"names/{key}"), key.encode())


@check("fields of one's own and a type")
def _():
    s3.put_object(Bucket=BUCKET, Key="typed", Body=b"x", ContentType="text/x-suite", Metadata={"one": "1", "two": "2 2"})
    head = s3.head_object(Bucket=BUCKET, Key="typed")
    same((head["ContentType"], head["Metadata"], head["ContentLength"]), ("text/x-suite", {"one": "1", "two": "2 2"}, 1))


@check("an upload of 24 MiB in parts, four at once")
def _():
    s3.upload_fileobj(io.BytesIO(large), BUCKET, "large", Config=by_parts)
    same(s3.head_object(Bucket=BUCKET, Key="large")["ContentLength"], len(large))


@check("a download of 24 MiB in ranges, four at once")
def _():
    found = io.BytesIO()
    s3.download_fileobj(BUCKET, "large", found, Config=by_parts)
    assert found.getvalue() == large


@check("a download of 24 MiB as one")
def _():
    assert body_of("large") == large


@check("parts out of order, listed and put together")
def _():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    at = dict(Bucket=BUCKET, Key="parts", UploadId=upload)
    pieces = {2: os.urandom(MIB), 1: os.urandom(5 * MIB)}
    for number, piece in pieces.items():
        s3.upload_part(PartNumber=number, Body=piece, **at)
    parts = s3.list_parts(**at)["Parts"]
    same([(part["PartNumber"], part["Size"]) for part in parts], [(1, 5 * MIB), (2, MIB)])
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{k: p[k] for k in ("PartNumber", "ETag")} for p in parts]}, **at)
    assert body_of("parts") == pieces[1] + pieces[2]


@check("an upload in parts that is given up")
def _():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="never")["UploadId"]
    s3.upload_part(Bucket=BUCKET, Key="never", UploadId=upload, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(Bucket=BUCKET, Key="never", UploadId=upload)
    refused(lambda: s3.get_object(Bucket=BUCKET, Key="never"), "NoSuchKey")


for name, span, part in (
    ("first", "bytes=0-99", slice(0, 100)),
    ("middle", f"bytes={7 * MIB}-{9 * MIB}", slice(7 * MIB, 9 * MIB + 1)),
    ("last", "bytes=-1000", slice(-1000, None)),
    ("rest", f"bytes={23 * MIB}-", slice(23 * MIB, None)),
):

    @check(f"a range: the {name} bytes")
    def _():
        answer = s3.get_object(Bucket=BUCKET, Key="large", Range=span)
        same(answer["ResponseMetadata"]["HTTPStatusCode"], 206)
        assert answer["Body"].read() == large[part]


@check("a range behind the end is refused")
def _():
    refused(lambda: s3.get_object(Bucket=BUCKET, Key="of-1", Range="bytes=5-9"), "InvalidRange")


@check("conditions: what has not changed, and what is another one")
def _():
    etag = s3.head_object(Bucket=BUCKET, Key="typed")["ETag"]
    refused(lambda: s3.get_object(Bucket=BUCKET, Key="typed", IfNoneMatch=etag), "304")
    refused(lambda: s3.get_object(Bucket=BUCKET, Key="typed", IfMatch='"another"'), "PreconditionFailed")


def presigned(operation, key, **fields):
    return s3.generate_presigned_url(operation, Params={"Bucket": BUCKET, "Key": key, **fields}, ExpiresIn=600)


@check("a presigned URL to read from, as a whole and in part")
def _():
    url = presigned("get_object", "large")
    assert url.startswith(BASE + "/"), url
    assert requests.get(url).content == large
    part = requests.get(url, headers={"Range": "bytes=10-19"})
    same((part.status_code, part.content, part.headers["Content-Range"]), (206, large[10:20], f"bytes 10-19/{len(large)}"))


@check("a presigned URL to write to, by length and in chunks")
def _():
    sent = os.urandom(2 * MIB)
    for body in (sent, iter([sent[:MIB], sent[MIB:]])):
        same(requests.put(presigned("put_object", "signed"), data=body).status_code, 200)
        assert body_of("signed") == sent
        s3.delete_object(Bucket=BUCKET, Key="signed")


@check("a presigned form")
def _():
    form = s3.generate_presigned_post(BUCKET, "form", ExpiresIn=600)
    same(requests.post(form["url"], data=form["fields"], files={"file": b"by form"}).status_code, 204)
    same(body_of("form"), b"by form")


def status(lines):
    line = lines.readline()
    while lines.readline() not in (b"\r\n", b""):
        pass
    return int(line.split()[1])


@check("100 Continue comes before the body is sent")
def _():
    url = urlsplit(presigned("put_object", "expected"))
    with socket.create_connection(("127.0.0.1", url.port), 30) as connection:
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        lines = connection.makefile("rb")
        same(status(lines), 100)
        connection.sendall(b"body")
        found = 100
        # This server says it twice.
        while found == 100:
            found = status(lines)
        same(found, 200)
    same(body_of("expected"), b"body")


@check("a copy")
def _():
    s3.copy_object(Bucket=BUCKET, Key="copied", CopySource={"Bucket": BUCKET, "Key": "names/ü/日本"})
    same(body_of("copied"), "ü/日本".encode())


@check("120 objects, 10 at once, listed by pages and removed at once")
def _():
    keys = [f"many/{index:03}" for index in range(120)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode()), keys))
        assert all(pool.map(lambda key: body_of(key) == key.encode(), keys))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="many/", PaginationConfig={"PageSize": 50})
    same([found["Key"] for page in pages for found in page["Contents"]], keys)
    gone = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
    same(sorted(found["Key"] for found in gone["Deleted"]), keys)


@check("an object and a bucket that are not there")
def _():
    refused(lambda: s3.get_object(Bucket=BUCKET, Key="none"), "NoSuchKey")
    refused(lambda: s3.list_objects_v2(Bucket="none"), "NoSuchBucket")


report()
