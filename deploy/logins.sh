#!/bin/sh
# One login for each service, with its own role alone; PostgreSQL runs this for a new data folder.
set -eu
login() {
    psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
        --set role="oip_$1" --set login="$1_login" --set password="$2" <<'SQL'
create role :"role" nologin noinherit;
create role :"login" login noinherit password :'password';
grant :"role" to :"login";
SQL
}
login enrolment "$ENROLMENT_PASSWORD"
login orders "$ORDERS_PASSWORD"
login premiums "$PREMIUMS_PASSWORD"
login claims "$CLAIMS_PASSWORD"
login grading "$GRADING_PASSWORD"
login benefits "$BENEFITS_PASSWORD"
login fund "$FUND_PASSWORD"
login staff "$STAFF_PASSWORD"
login console "$CONSOLE_PASSWORD"
