"""Both of MongoDB's drivers for Python's event loop, and the mark of the tests that ``make test`` runs with both."""

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient

DRIVERS = {"pymongo": AsyncMongoClient, "motor": AsyncIOMotorClient}

with_both_drivers = pytest.mark.parametrize("driver", DRIVERS)
