"""JSON bodies as Structs: decoded strictly, in one pass, with secrets wrapped before anything can show them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin, PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.typing import FieldDefinition

from tradesense.core.sensitive import Secret, decode_secret
from tradesense.entrypoints.http import problems
from tradesense.entrypoints.http.problems import Refused


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of request bodies: a field that is not known is an error, so that nobody assigns what they may not."""


class Routes(Litestar):
    """Litestar without what it adds for pydantic and attrs where they are installed.

    Our types need neither, and it is a tenth of the start and a part of every answer.
    """

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


class StrictRequest(Request[Any, Any, Any]):
    """A request whose body is decoded into the type that its handler declares.

    Litestar would decode it loosely first, so that ``"1"`` passes for 1, and quote values in its errors.
    """

    async def json(self) -> Any:
        """The body.

        :raises Refused: it is no JSON, or not of the handler's type.
        """
        kind = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        try:
            return _decoder(kind).decode(await self.body())
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Refused(problems.INVALID_BODY, faults=[problems.fault(error)]) from error


@lru_cache(256)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, dec_hook=decode_secret)


def is_secret(kind: Any) -> bool:
    """Whether Litestar may leave the decoding of this type to us."""
    return kind is Secret


def as_it_is(_kind: Any, value: Any) -> Any:
    """Litestar looks once more at what :class:`StrictRequest` has decoded."""
    return value


_PASSWORD: Any = "password"  # noqa: S105  # the name of a format
"""OpenAPI's name for a field that is not shown; Litestar's enumeration lacks it."""


class StrictSchema(StructSchemaPlugin):
    """How OpenAPI speaks of Structs: one that takes no unknown fields says so."""

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """The Struct's schema."""
        schema = super().to_openapi_schema(field_definition, schema_creator)
        if field_definition.type_.__struct_config__.forbid_unknown_fields:
            schema.additional_properties = False
        return schema


class SecretSchema(OpenAPISchemaPlugin):
    """How OpenAPI speaks of secrets: a text that is not shown, without an example."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Only :class:`Secret`."""
        return value is Secret

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:  # noqa: ARG002  # the plugin's signature
        """A password field."""
        return Schema(type=OpenAPIType.STRING, format=_PASSWORD)
