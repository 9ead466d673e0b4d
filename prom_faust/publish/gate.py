"""The gate: the last look at every record that the app produces, by the name of its topic. Pure."""

from prom_faust.exceptions import DecodeError, RecordKeyError
from prom_faust.publish.rules import Rules
from prom_faust.schema.header import OpenHeaders, reread, schema_version
from prom_faust.schema.outgoing import Outgoing, is_passed, outgoing
from prom_faust.schema.subject import Subjects

__all__ = ["Gate"]


class Gate:
    """Lets a record pass that obeys its topic; what was checked before is not checked again.

    Args:
        registry: the schemas.
        rules: what else the app says of its topics.
    """

    def __init__(self, registry: Subjects, rules: Rules) -> None:
        self.registry = registry
        self.rules = rules

    def admit(self, topic: str, key: bytes | None, value: bytes | None, headers: OpenHeaders) -> Outgoing:
        """The value and the headers to produce.

        Raises:
            PayloadInvalidError: the value does not obey the topic's schema.
            RecordKeyError: there is no key, and the topic is compacted.
        """
        compacted = self.rules.is_compacted(topic)
        if key is None and compacted:
            rules = self.rules.find(topic)
            declared = (
                f"key={rules.key!r} finds none in this payload" if rules and rules.key else "there is none"
            )
            raise RecordKeyError(
                f"topic {topic} is compacted, so a record needs a key, and {declared}: send it with key= (a "
                "tombstone always), or declare prom.topic(key=...) with the field that holds it"
            )
        subject = self.registry.find(topic)
        if subject is None or subject.policy == "off":
            return value, headers
        headers = reread(headers)
        try:
            named = schema_version(headers)
        except DecodeError:
            named = None  # the refusal below names what is wrong with it
        if is_passed(subject, value, named):
            return value, headers
        return outgoing(subject, value, headers, compacted=compacted)
