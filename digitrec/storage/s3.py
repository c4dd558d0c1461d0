"""What S3 can do and pyarrow can't: write an object under a condition."""

import re
import urllib.parse
from typing import Any

from digitrec.errors import InputError
from digitrec.storage.uris import TRIES, shown


class S3Object:
    """An object in a bucket, written under S3's conditions If-None-Match and If-Match.

    Args:
        location: the URI of the folder that it is in, or below: it says who asks, and where.
        path: bucket and key.

    Raises:
        InputError: boto3 is not installed, which pyarrow has no conditions without.
    """

    def __init__(self, location: str, path: str) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as why:
            raise InputError(
                f"writing to {shown(location)} needs boto3: pip install 'digitrec[s3]'"
            ) from why
        self._bucket, self._key = path.split("/", 1)
        parsed = urllib.parse.urlsplit(location)
        options = dict(urllib.parse.parse_qsl(parsed.query))
        endpoint = options.get("endpoint_override")
        if endpoint and "://" not in endpoint:
            endpoint = f"{options.get('scheme', 'https')}://{endpoint}"
        account = re.match(r"([^:@]*):([^@]*)@", parsed.netloc)
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=options.get("region"),
            aws_access_key_id=urllib.parse.unquote(account[1]) if account else None,
            aws_secret_access_key=urllib.parse.unquote(account[2]) if account else None,
            # By default a request is sent three times: with a busy store it would often fail.
            config=Config(retries={"mode": "standard", "total_max_attempts": TRIES}),
        )

    def read(self) -> tuple[bytes, str] | None:
        """Return the object and its ETag; None where there is none."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key)
            return answer["Body"].read(), answer["ETag"]
        except self._client.exceptions.NoSuchKey:
            return None
        except (ClientError, BotoCoreError) as why:
            raise InputError(f"s3://{self._bucket} can't be used: {why}") from why

    def write(self, content: bytes, version: str | None) -> str | None:
        """Put the object if it is still this version; give the new one, None if it changed.

        Args:
            content: of the object.
            version: its ETag; None: there is none yet.

        Raises:
            InputError: the bucket can't be used.
            OSError: it can't be written.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        try:
            answer = self._client.put_object(
                Bucket=self._bucket, Key=self._key, Body=content, **condition
            )
        except ClientError as why:
            if why.response["ResponseMetadata"]["HTTPStatusCode"] not in (404, 409, 412):
                raise OSError(str(why)) from why
            # The client sends a put again whose answer was lost: then it is our own that is there.
            there = self.read()
            return there[1] if there and there[0] == content else None
        except BotoCoreError as why:
            raise OSError(str(why)) from why
        return str(answer["ETag"])

    def delete(self) -> None:
        """Delete the object."""
        self._client.delete_object(Bucket=self._bucket, Key=self._key)
