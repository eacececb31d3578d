"""Amazon Web Services: secrets in Secrets Manager or in Parameter Store, and data keys wrapped by KMS.

Secrets Manager needs ``secretsmanager:GetSecretValue``, ``DescribeSecret``, ``ListSecrets``, ``ListSecretVersionIds``,
and to write ``CreateSecret``, ``PutSecretValue``, ``UpdateSecretVersionStage``, ``DeleteSecret`` and
``RestoreSecret``. Parameter Store needs ``ssm:GetParameter``, ``DescribeParameters``, ``GetParameterHistory``, and to
write ``PutParameter`` and ``DeleteParameter``. KMS needs ``kms:Encrypt``, ``kms:Decrypt`` and ``kms:DescribeKey``.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.aws.settings import KmsSettings, ParameterStoreSettings, SecretsManagerSettings
from tradesense.core.capabilities import Capability
from tradesense.core.secrets.ports import KeyEncryption, SecretStore
from tradesense.plugins import Adapter, Requirement, hookimpl

_REQUIRES = (Requirement("aiobotocore", "aiobotocore", "aws"), Requirement("stamina", "stamina", "aws"))


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """Two secret stores and a key encryption."""
    return (
        Adapter(
            port=SecretStore,
            name="aws",
            factory="tradesense.adapters.aws.secrets:store",
            summary="Secrets in AWS Secrets Manager, with staged rotation",
            settings=SecretsManagerSettings,
            section="secrets.aws",
            capabilities=frozenset(
                {
                    Capability.WRITE,
                    Capability.CAS,
                    Capability.VERSIONS,
                    Capability.ROTATION,
                    Capability.UNDELETE,
                    Capability.BINARY,
                    Capability.PERSISTENT,
                    Capability.SHARED,
                }
            ),
            requires=_REQUIRES,
        ),
        Adapter(
            port=SecretStore,
            name="aws_ssm",
            factory="tradesense.adapters.aws.secrets:parameters",
            summary="Secrets as encrypted parameters in AWS Systems Manager, text of 8 KiB at most",
            settings=ParameterStoreSettings,
            section="secrets.aws_ssm",
            capabilities=frozenset({Capability.WRITE, Capability.VERSIONS, Capability.PERSISTENT, Capability.SHARED}),
            requires=_REQUIRES,
        ),
        Adapter(
            port=KeyEncryption,
            name="aws_kms",
            factory="tradesense.adapters.aws.secrets:key_encryption",
            summary="Wraps data keys with a key of AWS KMS",
            settings=KmsSettings,
            section="secrets.aws_kms",
            capabilities=frozenset(),
            requires=_REQUIRES,
        ),
    )
