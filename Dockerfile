# One image for web, worker and beat; compose.yaml says which is which.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    DJANGO_SETTINGS_MODULE=config.settings \
    STATIC_COLLECTED=1

WORKDIR /srv/blotter
COPY requirements.txt .
RUN pip install --quiet -r requirements.txt

COPY manage.py ./
COPY config config
COPY apps apps
COPY templates templates
COPY static static

# Collecting needs settings, not servers; these values are for this step alone.
RUN DATABASE_URL=postgres://build REDIS_URL=redis://build SECRET_KEY=build API_KEY_PEPPER=build \
    python manage.py collectstatic --noinput --verbosity 0 \
    && useradd --system --no-create-home blotter \
    && install -d -o blotter /srv/media && install -d -o blotter -m 0700 /srv/archives /srv/backups

USER blotter
EXPOSE 8000
CMD ["gunicorn", "config.wsgi:application", "--bind", "0.0.0.0:8000", "--no-control-socket", \
     "--worker-class", "gthread", "--workers", "2", "--threads", "8", "--timeout", "120"]
