#include "serve/models/version_state.h"

const char *hone_version_state_name(hone_version_state state) {
    switch (state) {
    case HONE_VERSION_START: return "START";
    case HONE_VERSION_LOADING: return "LOADING";
    case HONE_VERSION_AVAILABLE: return "AVAILABLE";
    case HONE_VERSION_UNLOADING: return "UNLOADING";
    case HONE_VERSION_END: return "END";
    }
    return "UNKNOWN";
}
