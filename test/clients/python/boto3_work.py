"""A day's work with boto3, run by boto3.test.ts: endpoint and two accounts' keys in argv[1] as JSON."""
import concurrent.futures
import hashlib
import io
import json
import os
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import ClientError

setup = json.loads(sys.argv[1])


def client(account, signature="s3v4", **more):
    return boto3.client(
        "s3",
        endpoint_url=setup["endpoint"],
        region_name="us-east-1",
        aws_access_key_id=setup[account]["accessKeyId"],
        aws_secret_access_key=setup[account]["secretAccessKey"],
        config=Config(
            signature_version=signature,
            retries={"max_attempts": 1},
            max_pool_connections=32,
            s3={"addressing_style": "path"},
            **more,
        ),
    )


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response
    raise AssertionError(f"{call} was not refused with {code}")


s3 = client("root")
other = client("other")
s3.create_bucket(Bucket="work")


def multipart_200_mib():
    block = os.urandom(1 << 20)
    data = b"".join(index.to_bytes(4, "big") + block[4:] for index in range(200))
    s3.upload_fileobj(io.BytesIO(data), "work", "big", Config=TransferConfig(multipart_chunksize=8 << 20, max_concurrency=4))
    back = io.BytesIO()
    s3.download_fileobj("work", "big", back)
    assert hashlib.md5(back.getvalue()).digest() == hashlib.md5(data).digest()
    part = s3.get_object(Bucket="work", Key="big", Range="bytes=104857600-104857603")
    assert part["Body"].read() == (100).to_bytes(4, "big")
    assert part["ContentRange"] == f"bytes 104857600-104857603/{200 << 20}"
    second = s3.get_object(Bucket="work", Key="big", PartNumber=2)
    assert second["PartsCount"] == 25 and second["ContentLength"] == 8 << 20
    s3.copy({"Bucket": "work", "Key": "big"}, "work", "copied", Config=TransferConfig(multipart_chunksize=64 << 20))
    assert s3.head_object(Bucket="work", Key="copied")["ContentLength"] == 200 << 20


def pages_of_2500_keys():
    keys = [f"many/{index % 25:02d}/{index:05d}" for index in range(2500)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket="work", Key=key, Body=key.encode()), keys))
    for name in ("list_objects_v2", "list_objects"):
        pages = list(s3.get_paginator(name).paginate(Bucket="work", Prefix="many/"))
        assert len(pages) == 3
        assert [item["Key"] for page in pages for item in page["Contents"]] == sorted(keys)
    rolled = s3.list_objects_v2(Bucket="work", Prefix="many/", Delimiter="/")
    assert [item["Prefix"] for item in rolled["CommonPrefixes"]] == [f"many/{index:02d}/" for index in range(25)]
    for start in range(0, 2500, 1000):
        answer = s3.delete_objects(Bucket="work", Delete={"Objects": [{"Key": key} for key in keys[start : start + 1000]]})
        assert "Errors" not in answer
    assert "Contents" not in s3.list_objects_v2(Bucket="work", Prefix="many/")


def odd_keys():
    keys = ["a", "a/", "a//b", "../x", "%2B", "a+b c", "ключ", "日本語", "🐕", "new\nline", "\x01control", "\ufffd", "'\"<&>"]
    for key in keys:
        s3.put_object(Bucket="work", Key=f"odd/{key}", Body=key.encode())
    for key in keys:
        assert s3.get_object(Bucket="work", Key=f"odd/{key}")["Body"].read() == key.encode(), key
    listed = [item["Key"] for item in s3.list_objects_v2(Bucket="work", Prefix="odd/")["Contents"]]
    assert listed == sorted((f"odd/{key}" for key in keys), key=lambda key: key.encode()), listed


def presigned():
    for signature in ("s3v4", "s3"):
        signer = client("root", signature)
        put = signer.generate_presigned_url("put_object", Params={"Bucket": "work", "Key": "presigned"}, ExpiresIn=60)
        urllib.request.urlopen(urllib.request.Request(put, data=signature.encode(), method="PUT", headers={"Content-Type": ""}))
        get = signer.generate_presigned_url(
            "get_object",
            Params={"Bucket": "work", "Key": "presigned", "ResponseContentType": "text/x-mine"},
            ExpiresIn=60,
        )
        with urllib.request.urlopen(get) as answer:
            assert answer.read() == signature.encode() and answer.headers["Content-Type"] == "text/x-mine"


def two_accounts():
    refused("AccessDenied", other.list_objects_v2, Bucket="work")
    refused("BucketAlreadyExists", other.create_bucket, Bucket="work")
    s3.put_object(Bucket="work", Key="shared", Body=b"shared")
    refused("AccessDenied", other.get_object, Bucket="work", Key="shared")
    s3.put_object_acl(Bucket="work", Key="shared", GrantRead=f'id="{setup["other"]["id"]}"')
    assert other.get_object(Bucket="work", Key="shared")["Body"].read() == b"shared"
    refused("AccessDenied", other.put_object, Bucket="work", Key="shared", Body=b"mine")
    owner = s3.get_bucket_acl(Bucket="work")["Owner"]
    s3.put_bucket_acl(
        Bucket="work",
        AccessControlPolicy={
            "Owner": owner,
            "Grants": [
                {"Grantee": {"Type": "CanonicalUser", "ID": owner["ID"]}, "Permission": "FULL_CONTROL"},
                {"Grantee": {"Type": "CanonicalUser", "ID": setup["other"]["id"]}, "Permission": "WRITE"},
            ],
        },
    )
    other.put_object(Bucket="work", Key="guest", Body=b"guest")
    refused("AccessDenied", s3.get_object, Bucket="work", Key="guest")
    assert other.get_object_acl(Bucket="work", Key="guest")["Owner"]["ID"] == setup["other"]["id"]
    s3.delete_object(Bucket="work", Key="guest")
    s3.put_bucket_acl(Bucket="work", ACL="private")
    refused("AccessDenied", other.put_object, Bucket="work", Key="guest", Body=b"again")


def versions():
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket="versioned", Key="k", Body=str(n).encode())["VersionId"] for n in range(5)]
    marker = s3.delete_object(Bucket="versioned", Key="k")
    assert marker["DeleteMarker"]
    assert refused("NoSuchKey", s3.get_object, Bucket="versioned", Key="k")["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    refused("MethodNotAllowed", s3.get_object, Bucket="versioned", Key="k", VersionId=marker["VersionId"])
    listed = s3.list_object_versions(Bucket="versioned", MaxKeys=3)
    assert listed["IsTruncated"] and len(listed["Versions"]) == 2
    rest = s3.list_object_versions(
        Bucket="versioned", KeyMarker=listed["NextKeyMarker"], VersionIdMarker=listed["NextVersionIdMarker"]
    )
    assert [v["VersionId"] for v in listed["Versions"] + rest["Versions"]] == ids[::-1]
    assert s3.get_object(Bucket="versioned", Key="k", VersionId=ids[1])["Body"].read() == b"1"
    for version in [*ids, marker["VersionId"]]:
        s3.delete_object(Bucket="versioned", Key="k", VersionId=version)
    s3.delete_bucket(Bucket="versioned")


def conditions_and_checksums():
    s3.put_object(Bucket="work", Key="once", Body=b"1", IfNoneMatch="*")
    refused("PreconditionFailed", s3.put_object, Bucket="work", Key="once", Body=b"2", IfNoneMatch="*")
    etag = s3.head_object(Bucket="work", Key="once")["ETag"]
    s3.put_object(Bucket="work", Key="once", Body=b"3", IfMatch=etag)
    refused("PreconditionFailed", s3.put_object, Bucket="work", Key="once", Body=b"4", IfMatch=etag)
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        try:
            s3.put_object(Bucket="work", Key=algorithm, Body=b"123456789", ChecksumAlgorithm=algorithm)
        except Exception as error:  # boto3 without its optional awscrt package cannot compute some of them.
            if "crt" not in str(error).lower():
                raise
            continue
        head = s3.head_object(Bucket="work", Key=algorithm, ChecksumMode="ENABLED")
        assert head[f"Checksum{algorithm}"], head
    refused("InvalidRequest", s3.put_object, Bucket="work", Key="bad", Body=b"x", ChecksumSHA256="AAAA")
    s3.put_object(Bucket="work", Key="tagged", Body=b"t", Tagging="a=1&b=2")
    assert s3.get_object_tagging(Bucket="work", Key="tagged")["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]


for job in (multipart_200_mib, pages_of_2500_keys, odd_keys, presigned, two_accounts, versions, conditions_and_checksums):
    job()
    print(f"{job.__name__}: done", flush=True)
