"""Addresses of the trace page, which belongs to no table of its own."""

from django.urls import path

from apps.logs.admin.trace import trace_page

urlpatterns = [
    path("", trace_page, name="trace-search"),
    path("<str:correlation_id>/", trace_page, name="trace-page"),
]
