"""A site by Django in one file, with DEBUG on: `python -m django_site`. Its working folder holds its database."""

import hashlib
import os
import sys

import django
from django.conf import settings

HERE = os.path.dirname(os.path.abspath(__file__))

settings.configure(
    DEBUG=True,
    SECRET_KEY="not secret",
    ROOT_URLCONF="django_site",
    ALLOWED_HOSTS=["tunnel.test", ".tunnel.test"],
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    STATIC_URL="static/",
    # What Django's pages advise behind a proxy that takes TLS off.
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    SECURE_SSL_REDIRECT=True,
    SESSION_COOKIE_SECURE=True,
    CSRF_COOKIE_SECURE=True,
    USE_TZ=True,
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402


def who(request):
    return JsonResponse({"secure": request.is_secure(), "url": request.build_absolute_uri()})


def stream(_request):
    return StreamingHttpResponse((str(part) * 10_000 for part in range(10)), content_type="text/plain")


def file(_request):
    return FileResponse(open(__file__, "rb"))


@csrf_exempt
def digest(request):
    return HttpResponse(hashlib.sha256(request.body).hexdigest())


def fails(_request):
    raise RuntimeError("on purpose")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("who/", who),
    path("stream/", stream),
    path("file/", file),
    path("sum/", digest),
    path("fails/", fails),
]

if __name__ == "__main__":
    from django.core.management import call_command

    # ROOT_URLCONF imports this module by name; a second run of its first lines would configure settings twice.
    sys.modules["django_site"] = sys.modules["__main__"]
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User

    User.objects.filter(username="admin").exists() or User.objects.create_superuser("admin", "a@example.com", "pass word")
    call_command("runserver", "127.0.0.1:0", "--noreload")
