"""Contract checks: what every plug-in has to keep, for benchkit's own parts and for the authors of others.

>>> from benchkit.testing import check_encoder  # in a plug-in's own tests: check_encoder(my_model)
>>> from benchkit.testing import check_detector  # the same for a drift detector: check_detector(MyDetector())
"""

from benchkit.testing.detector import check_detector
from benchkit.testing.encoder import ContractError, check_encoder, check_handle, check_lexical

__all__ = ["ContractError", "check_detector", "check_encoder", "check_handle", "check_lexical"]
