"""Blotter's settings, read from top to bottom. What differs per machine comes from variables."""

from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from config import embedded, env
from config.openapi import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS

BASE_DIR = Path(__file__).resolve().parent.parent

# Where an embedded Blotter keeps its servers' data and its secrets.
BLOTTER_HOME = env.folder("BLOTTER_HOME", BASE_DIR / ".blotter")

DATABASE_URL = env.url("DATABASE_URL", schemes={"postgres", "postgresql"})
REDIS_URL = env.url("REDIS_URL", schemes={"redis", "rediss", "valkey", "unix"})
EMBEDDED = not (DATABASE_URL and REDIS_URL)
# Both given: many machines may share them, so secrets must be given too.
DISTRIBUTED = not EMBEDDED

DEBUG = env.flag("DEBUG", default=False)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", default=["*"] if EMBEDDED else ["localhost"])
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", default=[])


def secret(name: str) -> str:
    """Return a secret: given, or made once and kept in the state folder of an embedded Blotter."""
    given = env.text(name)
    if given:
        return given
    if DISTRIBUTED:
        raise ImproperlyConfigured(f"{name} must be set when DATABASE_URL and REDIS_URL are.")
    return embedded.kept_secret(BLOTTER_HOME, name)


SECRET_KEY = secret("SECRET_KEY")
# Keyed hash of the API keys: who has a copy of the database cannot use them.
API_KEY_PEPPER = secret("API_KEY_PEPPER")

# --- Applications -------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # the other one puts a site of its own in place of ours
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "config.apps.AdminConfig",
    "config.apps.BlotterConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "axes",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "import_export",
    "pgactivity",
    "pglock",
    "apps.shared",
    "apps.access",
    "apps.logs",
    "apps.executions",
    "apps.retention",
    "apps.market",
    "apps.analysis",
    "apps.alerts",
    "apps.agents",
    "apps.bots",
]

MIDDLEWARE = [
    "apps.shared.correlation.CorrelationMiddleware",
    "apps.logs.middleware.UserActionMiddleware",
    "apps.shared.api.errors.ProblemMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.csp.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    # Innermost: what it keeps of an answer is the view's own.
    "apps.access.idempotency.IdempotencyMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- Data ---------------------------------------------------------------------------------

_database = embedded.database_settings(DATABASE_URL or embedded.database_url(BLOTTER_HOME))
DATABASES = {
    "default": {
        **_database,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            **_database["OPTIONS"],
            "pool": {
                "min_size": 0,
                "max_size": env.integer("DATABASE_POOL_SIZE", default=10, minimum=1),
                "timeout": 10,
            },
            "application_name": "blotter",
            # Lists of the API alone are sent in a form that can be prepared (apps/shared/api).
            "prepare_threshold": 5 if env.flag("DATABASE_PREPARE", default=True) else None,
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = REDIS_URL or embedded.redis_url(BLOTTER_HOME)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": BROKER_URL,
        "KEY_PREFIX": "blotter",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}

# --- Language and time --------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

# --- Static files -------------------------------------------------------------------------

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Straight from the sources: a checkout needs no collectstatic. An image of Blotter collects
# them when it is built, under names with hashes, which browsers keep for ever.
STATIC_COLLECTED = env.flag("STATIC_COLLECTED", default=False)
STATIC_ROOT = BASE_DIR / "staticfiles" if STATIC_COLLECTED else None
WHITENOISE_USE_FINDERS = not STATIC_COLLECTED
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}

# --- Who may come in ----------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"
AXES_FAILURE_LIMIT = env.integer("LOGIN_FAILURE_LIMIT", default=10, minimum=1)
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True

# --- The look of the admin ----------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Blotter",
    "SITE_HEADER": "Blotter",
    "SITE_SUBHEADER": "Back office for automated trading",
    "SITE_ICON": lambda _: static("img/blotter.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("img/blotter.svg")}
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": False,  # the page of a thing has a tab for it
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda _: static("css/blotter.css")],
    "SCRIPTS": [lambda _: static("js/blotter.js")],
    "DASHBOARD_CALLBACK": "config.desk.dashboard",
    "COMMAND": {"search_callback": "config.menu.search"},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "navigation": "config.menu.navigation",
    },
    "COLORS": {
        "primary": {
            "50": "#eff6ff",
            "100": "#dbeafe",
            "200": "#bedbff",
            "300": "#8ec5ff",
            "400": "#51a2ff",
            "500": "#2b7fff",
            "600": "#155dfc",
            "700": "#1447e6",
            "800": "#193cb8",
            "900": "#1c398e",
            "950": "#162456",
        },
    },
}

# --- Transport ----------------------------------------------------------------------------

# A Blotter of one machine speaks plain HTTP on it; behind a proxy with TLS set HTTPS=1.
HTTPS = env.flag("HTTPS", default=DISTRIBUTED)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# The admin's pages need a little more: config/csp.py.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        # Named although default-src says the same, so that they can be widened on their own.
        "script-src": ["'self'"],
        "style-src": ["'self'"],
    }
}

# --- The API ------------------------------------------------------------------------------

REST_FRAMEWORK: dict = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.access.api.authentication.KeyAuthentication",
        "apps.access.api.authentication.StaffSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.shared.api.permissions.ScopePermission"],
    "DEFAULT_THROTTLE_CLASSES": ["apps.shared.api.throttling.KeyThrottle"],
    "EXCEPTION_HANDLER": "apps.shared.api.errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "apps.shared.api.openapi.Schema",
}
# Bodies of the API are read in pieces and have limits of their own; nothing may be larger.
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024
# Requests of one key, per bucket of views (throttle_scope).
API_RATES = {
    "default": env.text("API_RATE", "6000/minute"),
    # One key may stand for ten thousand bots; none of them must fall silent for it.
    "heartbeat": env.text("API_HEARTBEAT_RATE", "60000/minute"),
    # A program that logs much must not lose a line for it.
    "logs": env.text("API_LOGS_RATE", "600000/minute"),
}

# --- Celery -------------------------------------------------------------------------------

CELERY_BROKER_URL = BROKER_URL

# --- Logging ------------------------------------------------------------------------------

# What our own processes log, time and answer goes into the log tables too.
LOG_TO_DATABASE = env.flag("LOG_TO_DATABASE", default=True)
# Rows that each process keeps while the database is away; what comes beyond is counted.
LOG_QUEUE_ROWS = env.integer("LOG_QUEUE_ROWS", default=50_000, minimum=1)
# How many proxies stand before us: that many from the right of X-Forwarded-For are believed.
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", default=0, minimum=0)
_log_handlers = ["stdout", "database"] if LOG_TO_DATABASE else ["stdout"]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"correlation": {"()": "apps.shared.correlation.CorrelationFilter"}},
    "formatters": {
        "line": {
            "format": "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s"
            " [%(correlation_id)s] %(message)s",
            "datefmt": "%Y-%m-%dT%H:%M:%S",
            "()": "apps.shared.correlation.UtcFormatter",
        }
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "filters": ["correlation"],
            "formatter": "line",
        },
        "database": {"class": "apps.logs.handler.DatabaseHandler"},
    },
    "root": {"handlers": _log_handlers, "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        # Told by the answer already; at INFO and below nothing of Django is worth a line.
        "django": {"handlers": _log_handlers, "level": "WARNING", "propagate": False},
        "axes": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
    },
}

# --- Market and alerts --------------------------------------------------------------------

# Checkpoints after an alert at which its price is taken, in hours.
ALERT_CHECKPOINT_HOURS = [1, 3, 24, 72]
# An alert succeeded when it gained at least this much, in percent, at that checkpoint (hours).
ALERT_SUCCESS = {24: "5", 72: "10"}
# How far ahead of the server's clock an alert or a candle may stand.
CLOCK_TOLERANCE = timedelta(minutes=5)

# --- Agents -------------------------------------------------------------------------------

# What an agent needs before the league judges it: closed trades with a known P&L, and days.
LEAGUE_MIN_TRADES = env.integer("LEAGUE_MIN_TRADES", default=20, minimum=1)
LEAGUE_MIN_DAYS = env.integer("LEAGUE_MIN_DAYS", default=7, minimum=0)

# --- Executions and analyses ----------------------------------------------------------------

# Trade lists and whatever else is kept as files; nothing outside it is ever read or written.
MEDIA_ROOT = env.folder("MEDIA_ROOT", BLOTTER_HOME / "media")

# --- Retention and backup -------------------------------------------------------------------

# What has left the database, and dumps of it; nothing outside is ever read or written.
ARCHIVE_ROOT = env.folder("ARCHIVE_ROOT", BLOTTER_HOME / "archives")
BACKUP_ROOT = env.folder("BACKUP_ROOT", BLOTTER_HOME / "backups")
# So much of the disk is left alone: a run that would need it stops before anything leaves.
ARCHIVE_RESERVE = 1_000_000 * env.integer("ARCHIVE_RESERVE_MB", default=512, minimum=0)
# Who restores rows has so long before they count as old again.
RESTORED_HOLD = timedelta(days=env.integer("RESTORED_HOLD_DAYS", default=7, minimum=0))

# --- Runs of ours -------------------------------------------------------------------------

# A run without progress for so many times the usual pause of its kind is stuck; without a usual
# pause (fewer than three runs that ended well), after so long.
STUCK_TIMES = 3
STUCK_AFTER = timedelta(hours=env.integer("STUCK_AFTER_HOURS", default=1, minimum=1))
# A worker of ours that is not heard of for so long has lost its step to another one.
STEP_LEASE = timedelta(seconds=env.integer("STEP_LEASE_SECONDS", default=60, minimum=1))
# What a symbol must have before strategies are tried out on it.
SYMBOL_HISTORY_DAYS = env.integer("SYMBOL_HISTORY_DAYS", default=90, minimum=1)
SYMBOL_COMPLETENESS_PCT = env.integer("SYMBOL_COMPLETENESS_PCT", default=95, minimum=1, maximum=100)
# Whose candles say how much a symbol goes along with Bitcoin.
BITCOIN_SYMBOL = env.text("BITCOIN_SYMBOL", "BTC/USD")
# After how many hours a prediction or signal that names no horizon is judged.
CLAIM_HORIZON_HOURS = env.integer("CLAIM_HORIZON_HOURS", default=24, minimum=1)

# --- Venues ---------------------------------------------------------------------------------

# Credentials of exchanges and brokers, by the name that a feed gives.
FEED_CONNECTIONS = env.connections("FEED")
