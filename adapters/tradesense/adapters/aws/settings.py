"""``[secrets.aws]``, ``[secrets.aws_ssm]`` and ``[secrets.aws_kms]``: region, credentials, and where to look."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret

_URL = r"^(https?://[^/?#@\s]+/?)?\Z"


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all services of AWS need to know."""

    region: Annotated[str, Meta(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d\Z")]
    """The region, as in ``eu-central-1``."""
    access_key_id: str = ""
    """The access key; empty to let the SDK find credentials by its own chain, such as the role of the machine."""
    secret_access_key: Secret = Secret("")
    """The secret that belongs to the access key."""
    session_token: Secret = Secret("")
    """What comes with temporary credentials."""
    endpoint_url: Annotated[str, Meta(pattern=_URL)] = ""
    """Another address than the region's own: a VPC endpoint, or an emulator."""
    ca_file: str = ""
    """A PEM file with the authority that signed the endpoint's certificate; empty for the system's authorities."""
    timeout: Annotated[float, Meta(gt=0, le=60)] = 5.0
    """Seconds that one operation may take, its retries included."""


class SecretsManagerSettings(AwsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AWS Secrets Manager."""

    prefix: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9/_+=.@-]{0,127})?\Z")] = ""
    """What stands before each path in the secret's name, as in ``tradesense/``."""
    kms_key_id: str = ""
    """The KMS key that new secrets are encrypted with; empty for the account's ``aws/secretsmanager``."""
    recovery_days: Annotated[int, Meta(ge=7, le=30)] = 30
    """Days in which a deleted secret can be brought back."""


class ParameterStoreSettings(AwsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AWS Systems Manager Parameter Store."""

    prefix: Annotated[str, Meta(pattern=r"^/([A-Za-z0-9][A-Za-z0-9._-]*/)*\Z")] = "/tradesense/"
    """The hierarchy that each path lies in, with a slash at both ends."""
    kms_key_id: str = ""
    """The KMS key that values are encrypted with; empty for the account's ``aws/ssm``."""
    tier: Annotated[str, Meta(pattern=r"^(Standard|Advanced|Intelligent-Tiering)\Z")] = "Intelligent-Tiering"
    """``Standard`` holds 4 KiB, ``Advanced`` 8 KiB for a fee, ``Intelligent-Tiering`` what each value needs."""


class KmsSettings(AwsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AWS Key Management Service."""

    key_id: Annotated[str, Meta(min_length=1, max_length=2048)]
    """The symmetric key that wraps data keys: its id, its ARN, or an alias as in ``alias/tradesense``."""
