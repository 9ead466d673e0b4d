"""What stands for MongoDB: collections with one unique field, that understand the filters and updates of the sink.

Anything else that the sink would send raises, so that the model cannot silently agree.
"""

import bson
from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError

__all__ = ["Documents", "RefusedError", "matches"]

REFUSED = "refuse"
"""A document with this field is refused, as by a validator of the collection."""
MISSING = object()


class RefusedError(Exception):
    """One operation's error, as in ``writeErrors``."""

    def __init__(self, code, **details):
        super().__init__(code)
        self.details = {"code": code, "errmsg": f"code {code}", **details}


def matches(document, query):
    """Whether a document satisfies every condition of a filter."""
    return all(_holds(_value(document, path), condition) for path, condition in query.items())


def _value(document, path):
    for name in path.split("."):
        document = document.get(name, MISSING) if isinstance(document, dict) else MISSING
    return document


def _holds(value, condition):
    if not isinstance(condition, dict):
        return value == condition
    return all(_operator(name, value, operand) for name, operand in condition.items())


def _operator(name, value, operand):
    match name:
        case "$not":
            return not _holds(value, operand)
        case "$exists":
            return (value is not MISSING) is operand
        case "$in":
            return value in operand
        case "$gte" | "$gt" | "$lt":
            if value is MISSING:
                return False
            return {"$gte": value >= operand, "$gt": value > operand, "$lt": value < operand}[name]
    raise NotImplementedError(name)


class Documents:
    """A collection with a unique index on one field."""

    def __init__(self, unique):
        self.unique = unique
        self.by_key = {}

    def apply(self, operation):
        """One operation of a bulk write.

        Raises:
            RefusedError: as the server refuses it.
        """
        if isinstance(operation, InsertOne):
            self._insert(bson.decode(operation._doc.raw))
            return
        query, change = operation._filter, operation._doc
        assert operation._upsert
        key = query[self.unique]
        standing = self.by_key.get(key)
        matched = standing is not None and matches(standing, query)
        if isinstance(operation, ReplaceOne):
            document = bson.decode(change.raw) if hasattr(change, "raw") else dict(change)
        elif isinstance(operation, UpdateOne) and list(change) == ["$set"]:
            document = {self.unique: key, **(standing if matched else {}), **change["$set"]}
        else:
            raise NotImplementedError(operation)
        if REFUSED in document:
            raise RefusedError(121)
        if standing is not None and not matched:
            raise RefusedError(11000, keyPattern={self.unique: 1})
        self.by_key[key] = document

    def _insert(self, document):
        if REFUSED in document:
            raise RefusedError(121)
        if document[self.unique] in self.by_key:
            raise RefusedError(11000, keyPattern={self.unique: 1})
        self.by_key[document[self.unique]] = document

    def find(self, query):
        return [document for document in self.by_key.values() if matches(document, query)]

    def delete(self, query):
        gone = [key for key, document in self.by_key.items() if matches(document, query)]
        for key in gone:
            del self.by_key[key]
        return len(gone)


def bulk_error(errors):
    return BulkWriteError({"writeErrors": errors, "writeConcernErrors": []})
