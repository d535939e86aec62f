"""What can be wrong with a cost calculation.

BadRequestError
├── WeightsError            weights that the model does not allow
├── AlphaError              an alpha that is no cost
├── MissingAlphaError       a profile weighs what was not measured
├── NothingToCompareError   no cell of the control beside one of the platform under test
├── SummaryError            a file that is no summary
└── ProfilesError           a file that holds no profiles
"""

from standby.errors import BadRequestError


class WeightsError(BadRequestError):
    code = "bad_weights"


class AlphaError(BadRequestError):
    code = "bad_alpha"


class MissingAlphaError(BadRequestError):
    code = "alpha_missing"


class NothingToCompareError(BadRequestError):
    code = "nothing_to_compare"


class SummaryError(BadRequestError):
    code = "bad_summary"


class ProfilesError(BadRequestError):
    code = "bad_profiles"
