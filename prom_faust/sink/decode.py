"""Record -> change: tombstones, keys, versions and the mapped fields, with one clear error for a bad record."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import orjson
from pydantic import BaseModel, ValidationError

from prom_faust.exceptions import DecodeError, DocumentError, KeyMismatchError, RecordError, VersionError
from prom_faust.lane.record import Record
from prom_faust.schema.header import schema_version
from prom_faust.schema.tombstone import is_deleted, is_null, may_be_deleted
from prom_faust.sink.document import encode_document, encode_inserted, has_infinity
from prom_faust.sink.event import Change, position
from prom_faust.sink.json import check_floats, read_json
from prom_faust.sink.key import INT64, NO_KEY, Key, checked_key
from prom_faust.sink.options import RESERVED, ChangelogOptions, KeyOf, RecordKey
from prom_faust.sink.target import home_of

__all__ = ["VERSION_HEADER", "Decoder", "decoder", "header"]

VERSION_HEADER = "x-version"

Decoder = Callable[[Record], Change]


def header(record: Record, name: str) -> bytes | None:
    """The last value of a header, or None."""
    for key, value in reversed(record.headers):
        if key == name:
            return value
    return None


def decoder(options: ChangelogOptions) -> Decoder:
    """Compile the options into one function from record to change.

    The function raises RecordError, and nothing else, for a bad record: whatever a user's own function
    raises is the cause.
    """
    read_key = _key_reader(options)
    decode_value = _value_decoder(options.model)
    key_of = _event_key(options, options.key_of, read_key) if options.key_of is not None else None
    version_of = _getter(options.version_of) if options.version_of is not None else None
    shape = _shape(options)
    tombstone = options.tombstone
    has_model = options.model is not None
    sets = options.write == "set"
    encode = encode_inserted if options.appends else encode_document
    ending = _inserted_tombstone if options.appends else _tombstone
    home = None if options.collection_of is None else home_of(options.collection, options.collection_of)

    def decode(record: Record) -> Change:
        schema_version(record.headers)
        value = record.value
        event = None if is_null(value) else decode_value(value or b"")
        if event is None or is_deleted(event) or (tombstone is not None and tombstone(event)):
            return ending(record, event, read_key, version_of)
        key = read_key(record) if key_of is None else key_of(record, event)
        version = _version(version_of(event)) if version_of else None
        fields = shape(event)
        n = position(record)
        body = encode(key, fields, record, n, version)
        if has_model and has_infinity(body):
            check_floats(value or b"")
        return Change(key, n, record, body, version, fields if sets else None)

    def checked(record: Record) -> Change:
        try:
            change = decode(record)
            if home is not None:
                home(change.key)
        except RecordError:
            raise
        except Exception as error:
            raise DocumentError(f"{type(error).__name__}: {error}") from error
        return change

    return checked


def _value_decoder(model: type[BaseModel] | None) -> Callable[[bytes], Any]:
    """JSON, or the model; a body with ``_deleted: true`` is recognised before the model sees it."""
    if model is None:
        return read_json
    validate = model.model_validate_json

    def decode(value: bytes) -> Any:
        if may_be_deleted(value):
            # What is wrong with the JSON is for the model's parser to say, as for every other value.
            with suppress(orjson.JSONDecodeError):
                event = orjson.loads(value)
                if is_deleted(event):
                    return event
        try:
            return validate(value)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'value'}: {fault['msg']}" for fault in error.errors()
            )
            raise DecodeError(f"not a {model.__name__}: {faults}") from error

    return decode


def _key_reader(options: ChangelogOptions) -> Callable[[Record], Key]:
    read = _record_key(options.record_key, options.key_fields)
    if options.appends:
        return lambda record: NO_KEY if record.key is None else read(record)
    return read


def _record_key(how: RecordKey, order: Sequence[str]) -> Callable[[Record], Key]:
    if how == "text":
        return _text_key
    of_bytes = read_json if how == "json" else how

    def read(record: Record) -> Key:
        if record.key is None:
            raise _no_key()
        return checked_key(of_bytes(record.key), order=order)

    return read


def _text_key(record: Record) -> str:
    if record.key is None:
        raise _no_key()
    try:
        return record.key.decode()
    except UnicodeDecodeError as error:
        raise KeyMismatchError(f"the record key {record.key[:40]!r} is not UTF-8") from error


def _no_key() -> KeyMismatchError:
    return KeyMismatchError("the record has no key")


def _event_key(
    options: ChangelogOptions, of: KeyOf, read_key: Callable[[Record], Key]
) -> Callable[[Record, Any], Key]:
    """The key that an event has, compared with its record's where that is the one a tombstone comes with."""
    get, order = _key_getter(of), options.key_fields
    compared = options.compacted and not options.appends

    def event_key(record: Record, event: Any) -> Key:
        key = checked_key(get(event), order=order)
        if compared and (found := read_key(record)) != key:
            raise KeyMismatchError(
                f"the record key {found!r} is not the key of its value, {key!r}: a tombstone would miss the document "
                '(record_key="json" reads JSON keys)'
            )
        return key

    return event_key


def _tombstone(
    record: Record, event: Any, read_key: Callable[[Record], Key], version_of: Callable[[Any], Any] | None
) -> Change:
    key = read_key(record)
    version = None
    if version_of is not None:
        raw = header(record, VERSION_HEADER)
        if raw is not None:
            try:
                version = _version(int(raw))
            except ValueError as error:
                raise VersionError(f"header {VERSION_HEADER} is {raw!r}, not an integer") from error
        elif event is not None:
            version = _version_of_body(event, version_of)
    return Change(key=key, n=position(record), record=record, version=version)


def _inserted_tombstone(
    record: Record, _event: Any, read_key: Callable[[Record], Key], _version_of: object
) -> Change:
    """That a key was deleted is one more document where nothing is ever deleted."""
    key, n = read_key(record), position(record)
    return Change(key, n, record, encode_inserted(key, {"_deleted": True}, record, n))


def _version_of_body(body: Any, version_of: Callable[[Any], Any]) -> int | None:
    """The version of a body that deletes; one that carries none ends the version before it, as a null does."""
    try:
        version = version_of(body)
    except Exception:  # noqa: BLE001 - a user's function meets a body that is no whole event
        return None
    return None if version is None else _version(version)


def _version(value: Any) -> int:
    if type(value) is int and value in INT64:
        return value
    raise VersionError(f"a version must be a 64-bit integer, not {value!r:.80}")


def _key_getter(of: KeyOf) -> Callable[[Any], Any]:
    if callable(of) or isinstance(of, str):
        return _getter(of)
    fields = [(name, _getter(name)) for name in of]
    return lambda event: {name: get(event) for name, get in fields}


def _getter(of: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    if callable(of):
        return of
    name = of

    def get(event: Any) -> Any:
        try:
            return event[name] if type(event) is dict else getattr(event, name)
        except (KeyError, AttributeError) as error:
            raise DecodeError(f"the value has no field {name!r}") from error

    return get


def _shape(options: ChangelogOptions) -> Callable[[Any], dict[str, Any]]:
    """The function from event to mapped fields, reserved names left out, absent optional fields absent."""
    select = _selector(options)

    def shape(event: Any) -> dict[str, Any]:
        fields = select(event)
        if "_id" in fields:
            raise DocumentError("the map gives _id: MongoDB gives it, and _key is the document's key")
        if not RESERVED.isdisjoint(fields):
            return {name: value for name, value in fields.items() if name not in RESERVED}
        return fields

    return shape


def _selector(options: ChangelogOptions) -> Callable[[Any], dict[str, Any]]:
    wanted = options.map
    if wanted is None:
        return _fields
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        model = wanted

        def narrow(event: Any) -> dict[str, Any]:
            return _fields(event if type(event) is model else model.model_validate(_fields(event)))

        return narrow
    if callable(wanted):
        function = cast(Callable[[Any], Mapping[str, Any]], wanted)
        return lambda event: dict(function(event))
    names = tuple(wanted)

    def pick(event: Any) -> dict[str, Any]:
        fields = _fields(event)
        return {name: fields[name] for name in names if name in fields}

    return pick


def _fields(event: Any) -> dict[str, Any]:
    if isinstance(event, BaseModel):
        return event.model_dump(by_alias=True, exclude_unset=True)
    if type(event) is dict:
        return event
    raise DocumentError(
        f"the value is {type(event).__name__}, not an object: give map= a function that makes one"
    )
