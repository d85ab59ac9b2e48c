"""The API's documentation, from files of our own and without a script inside the page."""

from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView


class SchemaView(SpectacularJSONAPIView):
    """The API as an OpenAPI document."""

    throttle_classes = ()


class DocsView(SpectacularSwaggerSplitView):
    """The OpenAPI document as a page to read and try out."""

    template_name = "access/api_docs.html"
    url_name = "api-schema"
    throttle_classes = ()
