"""Questions of their own: the query of a sub-resource, declared as a row like a body is."""

from rest_framework.request import Request

from apps.shared.api import filters, structs
from apps.shared.api.errors import ApiError
from apps.shared.errors import FieldError


def read_query(row: type[structs.R], request: Request) -> structs.R:
    """Return the parameters of a query as a row; raises ApiError naming every wrong one."""
    query = request._request.GET
    known = [field.name for field in structs.plan_of(row).fields]
    filters.check_known(query, known)
    given = {
        name: filters.plus_restored(filters.single(query, name)) for name in known if name in query
    }
    found = structs.read_row(row, structs.from_text(row, given))
    if isinstance(found, list):
        errors = [FieldError(f"?{e.pointer[1:]}", e.code, e.message) for e in found]
        first = errors[0]
        detail = f"Invalid parameter: {first.pointer[1:]}. {first.message}"
        raise ApiError(400, "invalid_parameter", detail, errors)
    return found
