"""Who does the work: adapters with their settings and limits."""

from pydantic import Field

from penstock.product.schema_onnx import OnnxModel
from penstock.product.schema_parts import (
    Address,
    Cost,
    EnvironmentVariable,
    FieldName,
    Name,
    Parameter,
    ParameterText,
    Part,
)


class ProviderLimits(Part):
    """What a provider may be asked over all processes together; a limit that is left out is none."""

    concurrency: int | None = Field(default=None, ge=1, le=100_000, description="requests at one time")
    requests_per_minute: int | None = Field(default=None, ge=1, le=10_000_000, description="requests in any minute")
    tokens_per_minute: int | None = Field(default=None, ge=1, le=10**10, description="tokens in any minute")
    tokens_each: int = Field(
        default=1_000,
        ge=1,
        le=10_000_000,
        description="tokens that one request uses at most, until 20 have been measured",
    )


class Provider(Part):
    """Who does the work: an adapter with its settings."""

    adapter: Name = Field(description="how it is spoken to: `local` works on this machine", examples=["local"])
    key_env: EnvironmentVariable | None = Field(default=None, description="the variable that holds the key")
    base_url: Address | None = Field(default=None, description="another address of the same interface")
    model: str | None = Field(default=None, min_length=1, max_length=200, description="which of the vendor's models")
    parameters: dict[Parameter, ParameterText | bool | int | float] = Field(
        default={}, description="settings of the model in the vendor's own words, sent along as they stand here"
    )
    concurrency: int = Field(default=2, ge=1, le=1_000, description="requests at one time in each process")
    limits: ProviderLimits | None = Field(default=None, description="what it may be asked over all processes together")
    names: dict[Name, FieldName] = Field(
        default={},
        description="what the model calls an input or an option, where that differs; a name that ends in [] is a list",
    )
    cost_usd: Cost = Field(default="0", description="US dollars that one call costs where the provider reports nothing")
    cost_usd_second: Cost | None = Field(
        default=None, description="US dollars for a second of work, for providers that are paid by time"
    )
    onnx: OnnxModel | None = Field(default=None, description="a model of one's own, for the adapter `onnx`")
