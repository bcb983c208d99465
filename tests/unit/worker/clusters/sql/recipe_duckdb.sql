/* sync 1 */
WITH source AS (
  SELECT
    "LTV" AS "k0",
    "purchase_count" AS "k2",
    "Churn Risk" AS "k4",
    "plan" AS "k7"
  FROM READ_PARQUET(['profiles-*.parquet'])
), keys AS (
  SELECT
    *
  FROM source
), parsed AS (
  SELECT
    *,
    CAST("k0" AS DOUBLE) AS "p0_0",
    CAST("k2" AS DOUBLE) AS "p1_0",
    CASE
      WHEN "k4" IS NULL
      THEN NULL
      WHEN (
        REGEXP_FULL_MATCH(
          "k4",
          '[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?'
        )
      )
      THEN TRY_CAST("k4" AS DOUBLE)
    END AS "p2_0"
  FROM keys
), usable AS (
  SELECT
    *,
    CASE
      WHEN "p0_0" BETWEEN (
        -1000000000000000.0e0
      ) AND 1000000000000000.0e0
      THEN "p0_0"
    END AS "v0_0",
    CASE
      WHEN "p1_0" BETWEEN (
        -1000000000000000.0e0
      ) AND 1000000000000000.0e0
      THEN "p1_0"
    END AS "v1_0",
    CASE WHEN "p2_0" BETWEEN 0.0e0 AND 1.0e0 THEN "p2_0" END AS "v2_0"
  FROM parsed
), traits AS (
  SELECT
    *,
    "v0_0" AS "v0",
    (
      "v0_0" IS NULL
    ) AND NOT "k0" IS NULL AS "u0",
    "v1_0" AS "v1",
    (
      "v1_0" IS NULL
    ) AND NOT "k2" IS NULL AS "u1",
    "v2_0" AS "v2",
    (
      "v2_0" IS NULL
    ) AND NOT "k4" IS NULL AS "u2",
    CAST(NULL AS TEXT) AS "v3",
    CAST(NULL AS TEXT) AS "v4"
  FROM usable
), errors AS (
  SELECT
    *,
    CASE
      WHEN "u0"
      THEN CASE
        WHEN TRUE
        AND CASE WHEN NOT "v0_0" IS NULL THEN 0 WHEN "k0" IS NULL THEN 1 ELSE 2 END = 2
        THEN CASE WHEN NOT "k0" IS NULL THEN CAST(TO_JSON("k0") AS TEXT) END
      END
    END AS "w0",
    CASE
      WHEN "u1"
      THEN CASE
        WHEN TRUE
        AND CASE WHEN NOT "v1_0" IS NULL THEN 0 WHEN "k2" IS NULL THEN 1 ELSE 2 END = 2
        THEN CASE WHEN NOT "k2" IS NULL THEN CAST(TO_JSON("k2") AS TEXT) END
      END
    END AS "w1",
    CASE
      WHEN "u2"
      THEN (
        TRUE
        AND CASE
          WHEN NOT "v2_0" IS NULL
          THEN 0
          WHEN "k4" IS NULL
          THEN 1
          WHEN (
            "k4" IN ('')
          )
          THEN 1
          WHEN NOT "p2_0" IS NULL OR (
            REGEXP_FULL_MATCH("k4", '(?s).*[^0-9eE+\-.\s\v\\].*')
          )
          THEN 2
          ELSE 3
        END = 3
      )
      ELSE FALSE
    END AS "o2",
    CASE
      WHEN "u2"
      THEN CASE
        WHEN TRUE
        AND CASE
          WHEN NOT "v2_0" IS NULL
          THEN 0
          WHEN "k4" IS NULL
          THEN 1
          WHEN (
            "k4" IN ('')
          )
          THEN 1
          WHEN NOT "p2_0" IS NULL OR (
            REGEXP_FULL_MATCH("k4", '(?s).*[^0-9eE+\-.\s\v\\].*')
          )
          THEN 2
          ELSE 3
        END = 2
        THEN CASE
          WHEN CASE WHEN NOT "k4" IS NULL THEN CAST(TO_JSON("k4") AS TEXT) END LIKE '"%'
          AND NOT CONTAINS(CASE WHEN NOT "k4" IS NULL THEN CAST(TO_JSON("k4") AS TEXT) END, '\')
          THEN TRANSLATE(
            CASE WHEN NOT "k4" IS NULL THEN CAST(TO_JSON("k4") AS TEXT) END,
            'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
            'aaaaaaaaaaaaaaaaaaaaaaaaaaAAAAAAAAAAAAAAAAAAAAAAAAAA9999999999'
          )
          ELSE CASE WHEN NOT "k4" IS NULL THEN CAST(TO_JSON("k4") AS TEXT) END
        END
      END
    END AS "w2",
    CAST(NULL AS TEXT) AS "w3",
    "k7" AS "w4"
  FROM traits
), profiles AS MATERIALIZED (
  SELECT
    *,
    CAST(CASE
      WHEN (
        "o2"
      )
      THEN 8
      WHEN "v0" IS NULL AND "v1" IS NULL AND "v2" IS NULL
      THEN 0
      WHEN (
        (
          COALESCE("v0", 0.0e0) > 500.0e0
        ) AND (
          COALESCE("v2", 0.5e0) < 0.15e0
        )
      )
      THEN 1
      WHEN (
        (
          COALESCE("v0", 0.0e0) > 100.0e0
        ) AND (
          COALESCE("v1", 0.0e0) >= 2.0e0
        )
      )
      THEN 2
      WHEN (
        COALESCE("v2", 0.5e0) > 0.4e0
      )
      THEN 3
      ELSE 4
    END AS INT) AS "state",
    CASE
      WHEN (
        "o2"
      )
      THEN '[' || COALESCE(CASE WHEN NOT "k0" IS NULL THEN CAST(TO_JSON("k0") AS TEXT) END, 'null') || ',' || COALESCE(NULL, 'null') || ',' || COALESCE(CASE WHEN NOT "k2" IS NULL THEN CAST(TO_JSON("k2") AS TEXT) END, 'null') || ',' || COALESCE(NULL, 'null') || ',' || COALESCE(CASE WHEN NOT "k4" IS NULL THEN CAST(TO_JSON("k4") AS TEXT) END, 'null') || ',' || COALESCE(NULL, 'null') || ',' || COALESCE(NULL, 'null') || ',' || COALESCE(CASE WHEN NOT "k7" IS NULL THEN CAST(TO_JSON("k7") AS TEXT) END, 'null') || ']'
    END AS "entry",
    CAST(COALESCE((
      CAST(CAST(CAST("v0" AS REAL) AS BIT) AS UINTEGER) >> 16
    ), 65535) AS INT) AS "b0",
    CAST(COALESCE((
      CAST(CAST(CAST("v1" AS REAL) AS BIT) AS UINTEGER) >> 16
    ), 65535) AS INT) AS "b1",
    CAST(COALESCE((
      CAST(CAST(CAST("v2" AS REAL) AS BIT) AS UINTEGER) >> 16
    ), 65535) AS INT) AS "b2"
  FROM errors
), values0 AS MATERIALIZED (
  SELECT
    state,
    "b0" AS bucket,
    COUNT(*) AS n,
    SUM(CAST("v0" * 1024.0e0 AS BIGINT)) AS whole,
    SUM(
      CAST((
        "v0" - CAST("v0" * 1024.0e0 AS BIGINT) / 1024.0e0
      ) * 4.611686018427388e+18 AS BIGINT)
    ) AS fine,
    FSUM(
      "v0" - CAST("v0" * 1024.0e0 AS BIGINT) / 1024.0e0 - CAST((
        "v0" - CAST("v0" * 1024.0e0 AS BIGINT) / 1024.0e0
      ) * 4.611686018427388e+18 AS BIGINT) / 4.611686018427388e+18
    ) AS rest,
    VAR_POP("v0") AS variance
  FROM profiles
  GROUP BY
    state,
    "b0"
), values1 AS MATERIALIZED (
  SELECT
    state,
    "b1" AS bucket,
    COUNT(*) AS n,
    SUM(CAST("v1" * 1024.0e0 AS BIGINT)) AS whole,
    CAST(0 AS INT128) AS fine,
    0e0 AS rest,
    VAR_POP("v1") AS variance
  FROM profiles
  GROUP BY
    state,
    "b1"
), values2 AS MATERIALIZED (
  SELECT
    state,
    "b2" AS bucket,
    COUNT(*) AS n,
    CAST(0 AS INT128) AS whole,
    SUM(CAST("v2" * 4.611686018427388e+18 AS BIGINT)) AS fine,
    FSUM("v2" - CAST("v2" * 4.611686018427388e+18 AS BIGINT) / 4.611686018427388e+18) AS rest,
    VAR_POP("v2") AS variance
  FROM profiles
  GROUP BY
    state,
    "b2"
)
SELECT
  state,
  NULL AS trait,
  NULL AS bucket,
  NULL AS words,
  COUNT(*) AS n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM profiles
GROUP BY
  state
UNION ALL
SELECT
  NULL AS state,
  NULL AS trait,
  NULL AS bucket,
  entry AS words,
  COUNT(*) AS n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM profiles
WHERE
  state = 8
GROUP BY
  entry
UNION ALL
SELECT
  NULL AS state,
  0 AS trait,
  NULL AS bucket,
  "w0" AS words,
  COUNT(*) AS n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM profiles
WHERE
  NOT "w0" IS NULL AND state <= 4
GROUP BY
  "w0"
UNION ALL
SELECT
  state,
  0 AS trait,
  bucket,
  NULL AS words,
  n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM values0
WHERE
  state BETWEEN 1 AND 4 AND bucket < 65535
UNION ALL
SELECT
  state,
  0 AS trait,
  NULL AS bucket,
  NULL AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  SUM(whole) AS whole,
  SUM(fine) AS fine,
  FSUM(rest) AS rest,
  FSUM(n * variance + n * POWER(total / n - mean, 2)) AS squares
FROM (
  SELECT
    *,
    SUM(total) OVER (PARTITION BY state) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT
      *,
      whole / 1024.0e0 + (
        fine / 4.611686018427388e+18 + rest
      ) AS total
    FROM values0
    WHERE
      state BETWEEN 1 AND 4 AND bucket < 65535
  )
)
GROUP BY
  state
UNION ALL
SELECT
  NULL AS state,
  1 AS trait,
  NULL AS bucket,
  "w1" AS words,
  COUNT(*) AS n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM profiles
WHERE
  NOT "w1" IS NULL AND state <= 4
GROUP BY
  "w1"
UNION ALL
SELECT
  state,
  1 AS trait,
  bucket,
  NULL AS words,
  n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM values1
WHERE
  state BETWEEN 1 AND 4 AND bucket < 65535
UNION ALL
SELECT
  state,
  1 AS trait,
  NULL AS bucket,
  NULL AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  SUM(whole) AS whole,
  SUM(fine) AS fine,
  FSUM(rest) AS rest,
  FSUM(n * variance + n * POWER(total / n - mean, 2)) AS squares
FROM (
  SELECT
    *,
    SUM(total) OVER (PARTITION BY state) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT
      *,
      whole / 1024.0e0 + (
        fine / 4.611686018427388e+18 + rest
      ) AS total
    FROM values1
    WHERE
      state BETWEEN 1 AND 4 AND bucket < 65535
  )
)
GROUP BY
  state
UNION ALL
SELECT
  NULL AS state,
  2 AS trait,
  NULL AS bucket,
  "w2" AS words,
  COUNT(*) AS n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM profiles
WHERE
  NOT "w2" IS NULL AND state <= 4
GROUP BY
  "w2"
UNION ALL
SELECT
  state,
  2 AS trait,
  bucket,
  NULL AS words,
  n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM values2
WHERE
  state BETWEEN 1 AND 4 AND bucket < 65535
UNION ALL
SELECT
  state,
  2 AS trait,
  NULL AS bucket,
  NULL AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  SUM(whole) AS whole,
  SUM(fine) AS fine,
  FSUM(rest) AS rest,
  FSUM(n * variance + n * POWER(total / n - mean, 2)) AS squares
FROM (
  SELECT
    *,
    SUM(total) OVER (PARTITION BY state) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT
      *,
      whole / 1024.0e0 + (
        fine / 4.611686018427388e+18 + rest
      ) AS total
    FROM values2
    WHERE
      state BETWEEN 1 AND 4 AND bucket < 65535
  )
)
GROUP BY
  state
UNION ALL
SELECT
  state,
  trait,
  NULL AS bucket,
  CASE WHEN NOT clean OR place <= 512 THEN words END AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY state, trait, clean ORDER BY n DESC, words) AS place
  FROM (
    SELECT
      *,
      COALESCE(
        (
          (
            REGEXP_FULL_MATCH(
              "words",
              '[A-Za-z]{1,19}(?:[ &_-][A-Za-z]{1,19}){0,3}|[A-Za-z]{1,9}[0-9]{1,2}|[A-Za-z]{1,19}(?: [A-Za-z]{1,19})?[ -][0-9]{1,2}|[A-Za-z]{1,19}(?: [A-Za-z]{1,19})? [0-9]{1,4}'
            )
          )
          AND NOT (
            LOWER("words") IN (
              'null',
              'none',
              'nil',
              'nan',
              'nat',
              'undefined',
              'unknown',
              'unspecified',
              'notset',
              'not set',
              'not-set',
              'not_set',
              'not available',
              'not-available',
              'not_available',
              'not applicable',
              'not-applicable',
              'not_applicable',
              'not provided',
              'not-provided',
              'not_provided',
              'not specified',
              'not-specified',
              'not_specified',
              'not defined',
              'not-defined',
              'not_defined',
              'not known',
              'not-known',
              'not_known',
              'no value',
              'no-value',
              'no_value',
              'no data',
              'no-data',
              'no_data'
            )
          )
        ),
        FALSE
      ) AS clean
    FROM (
      SELECT
        state,
        4 AS trait,
        "w4" AS words,
        COUNT(*) AS n
      FROM profiles
      GROUP BY
        state,
        "w4"
    )
    WHERE
      state <= 4 AND NOT words IS NULL
  )
)
GROUP BY
  1,
  2,
  4
