"""What the tables of a product file are made of: names, amounts, addresses, and the base of every table."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
COLOUR_PATTERN = r"^#[0-9a-fA-F]{6}$"
VARIABLE_PATTERN = r"^[A-Z][A-Z0-9_]*$"
DOLLARS_PATTERN = r"^[0-9]{1,6}(\.[0-9]{2})?$"
COST_PATTERN = r"^[0-9]{1,4}(\.[0-9]{1,6})?$"
FIELD_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,59}(\[\])?$"
PARAMETER_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,59}$"
ADDRESS_PATTERN = r"^https?://[^\s/?#]+[^\s?#]*$"
SCOPE_PATTERN = r"^[\x21\x23-\x5b\x5d-\x7e]{1,100}$"
EMAIL_PATTERN = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Colour = Annotated[str, StringConstraints(pattern=COLOUR_PATTERN)]
EnvironmentVariable = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN)]
Dollars = Annotated[str, StringConstraints(pattern=DOLLARS_PATTERN)]
Cost = Annotated[str, StringConstraints(pattern=COST_PATTERN)]
Parameter = Annotated[str, StringConstraints(pattern=PARAMETER_PATTERN)]
FieldName = Annotated[str, StringConstraints(pattern=FIELD_PATTERN)]
ParameterText = Annotated[str, StringConstraints(max_length=4_000)]
Address = Annotated[str, StringConstraints(pattern=ADDRESS_PATTERN, max_length=500)]
Scope = Annotated[str, StringConstraints(pattern=SCOPE_PATTERN)]
Email = Annotated[str, StringConstraints(pattern=EMAIL_PATTERN, max_length=254)]
Resolution = Literal["480p", "720p", "1080p", "original"]
InputKind = Literal["picture", "text"]
OptionKind = Literal["choice", "toggle", "range", "corners"]

BYTES_PER_MB = 1_000_000


class Part(BaseModel):
    """The base of every table in the file: unknown keys are errors, values are strict and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
