"""Whether what one version of a schema lets out is taken in by another. Pure."""

from prom_faust.schema.compatibility.check import incompatibilities
from prom_faust.schema.compatibility.incompatibility import Incompatibility

__all__ = ["Incompatibility", "incompatibilities"]
