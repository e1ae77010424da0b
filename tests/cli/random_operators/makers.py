"""All makers."""

import makers_math  # noqa: F401
import makers_microsoft  # noqa: F401
import makers_moves  # noqa: F401
import makers_nn  # noqa: F401
import makers_quant  # noqa: F401
import makers_rest  # noqa: F401
import makers_vision  # noqa: F401
