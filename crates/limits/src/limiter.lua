-- Judges one request, as `judge` in gcra.rs does, and lets its gateway have more of the bucket in advance. KEYS[1] the
-- bucket; ARGV interval, window, now (microseconds), and how many requests are wanted.
-- Answers how many are granted (0: refused), how many remain beyond, microseconds until full, microseconds until one more
-- is allowed.
local interval, window, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local wanted = tonumber(ARGV[4])
local tat = tonumber(redis.call('GET', KEYS[1]) or '0')
if tat < now then tat = now end
if tat > now + window then tat = now + window end
local room = math.floor((now + window - tat) / interval)
if room < 1 then
  return {0, 0, tat - now, tat + interval - now - window}
end
local granted = math.min(room, wanted)
local next_tat = tat + granted * interval
-- '%.0f': tostring would round to 14 digits.
redis.call('SET', KEYS[1], string.format('%.0f', next_tat), 'PX', math.ceil((next_tat - now) / 1000))
return {granted, room - granted, next_tat - now, 0}
