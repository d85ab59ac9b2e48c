"""What the tests of the logs' admin pages share."""

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

MARKUP = '<img src=x onerror="alert(1)">'
# What a terminal would act on, what turns the order of text, and what is not seen at all.
CONTROLS = "\x1b[31mred\x07\x9b1m\u202egpj\u200b"
CONTROLS_SEEN = "␛[31mred␇\\x9b1m⟦U+202E⟧gpj⟦U+200B⟧"


def page(client, name, *args, **query):
    """Return a page of the admin as text."""
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def exported(client, name, kind="csv", **query):
    answer = client.get(reverse(name) + f"export/{kind}/", query)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def staff(*permissions):
    """Return the client of somebody on the staff who may do just that."""
    user = User.objects.create_user("someone", is_staff=True)
    for permission in permissions:
        user.user_permissions.add(
            Permission.objects.get(codename=permission, content_type__app_label="logs")
        )
    client = Client()
    client.force_login(user)
    return client
