-- One row a flight out of New York City in 2013, with what is known at its scheduled departure. See data/README.md.
-- $since and $as_of bound the rows, so that a run reads only its window.
WITH scheduled AS (
    SELECT
        *,
        -- time_hour is the scheduled hour in UTC; `hour` and `sched_dep_time` are New York local time.
        time_hour::TIMESTAMP + to_minutes("minute") AS scheduled_departure
    FROM flights
),
observed AS (
    SELECT
        *,
        -- A row of the weather was measured some time within its hour: it counts as known once the hour is over.
        time_hour::TIMESTAMP + INTERVAL 1 HOUR AS known_at
    FROM weather
)
SELECT
    printf('%04d-%02d-%02d-%s%d-%s', f.year, f.month, f.day, f.carrier, f.flight, f.origin) AS flight_id,
    f.scheduled_departure,
    f.carrier,
    f.origin,
    f.dest,
    f.distance,
    -- Local like the hour: in UTC an evening's flight would be of the day after. 0 is Monday.
    isodow(make_date(f.year, f.month, f.day)) - 1 AS weekday,
    f.hour * 60 + f.minute AS departure_minute,
    f.sched_arr_time // 100 * 60 + f.sched_arr_time % 100 AS arrival_minute,
    p.year AS aircraft_year,
    f.year - p.year AS aircraft_age,
    p.type AS aircraft_type,
    p.manufacturer,
    p.engines,
    p.seats,
    w.temp,
    w.dewp,
    w.humid,
    w.wind_dir,
    w.wind_speed,
    w.precip,
    w.pressure,
    w.visib,
    -- Cancelled and diverted flights never arrive: their label stays unknown, their row stays, because nobody
    -- knows at departure which flights they will be.
    CASE WHEN f.arr_delay > 15 THEN 'yes' WHEN f.arr_delay <= 15 THEN 'no' END AS late
FROM scheduled AS f
LEFT JOIN planes AS p ON p.tailnum = f.tailnum
ASOF LEFT JOIN observed AS w ON w.origin = f.origin AND w.known_at <= f.scheduled_departure
WHERE f.scheduled_departure > $since AND f.scheduled_departure <= $as_of
ORDER BY f.scheduled_departure, flight_id
