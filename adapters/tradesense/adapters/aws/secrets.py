"""The factories of what AWS offers to the secrets room."""

from __future__ import annotations

from tradesense.adapters.aws._client import AwsHealth, AwsService
from tradesense.adapters.aws._keys import KmsKeyEncryption
from tradesense.adapters.aws._manager import SecretsManagerStore
from tradesense.adapters.aws._parameters import ParameterStore
from tradesense.adapters.aws.settings import KmsSettings, ParameterStoreSettings, SecretsManagerSettings
from tradesense.core.secrets.ports import KeyEncryption, SecretStore
from tradesense.plugins import AdapterContext

PROBE = "tradesense-health"
"""A name that nothing has, asked for to see whether the service answers."""


def store(settings: SecretsManagerSettings, context: AdapterContext) -> SecretsManagerStore:
    """The factory of the store in Secrets Manager."""
    service = AwsService("secretsmanager", settings, origin="secrets.aws")
    context.watch(
        AwsHealth("aws", service, "describe_secret", "ResourceNotFoundException", SecretId=settings.prefix + PROBE)
    )
    return SecretsManagerStore(service, settings)


def parameters(settings: ParameterStoreSettings, context: AdapterContext) -> ParameterStore:
    """The factory of the store in Parameter Store."""
    service = AwsService("ssm", settings, origin="secrets.aws_ssm")
    context.watch(AwsHealth("aws_ssm", service, "get_parameter", "ParameterNotFound", Name=settings.prefix + PROBE))
    return ParameterStore(service, settings)


def key_encryption(settings: KmsSettings, context: AdapterContext) -> KmsKeyEncryption:
    """The factory of the key encryption."""
    service = AwsService("kms", settings, origin="secrets.aws_kms")
    context.watch(AwsHealth("aws_kms", service, "describe_key", KeyId=settings.key_id))
    return KmsKeyEncryption(service, settings.key_id)


_: type[SecretStore] = SecretsManagerStore
_parameters: type[SecretStore] = ParameterStore
_keys: type[KeyEncryption] = KmsKeyEncryption
