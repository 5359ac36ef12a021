// Parameters in the order of the alphabet, without those of trackers: one object in the cache for all spellings.
function handler(event) {
    var request = event.request;
    var qs = [];
    for (var key in request.querystring) {
        if (key.startsWith('utm_') || key === 'fbclid') {
            continue;
        }
        if (request.querystring[key].multiValue) {
            request.querystring[key].multiValue.forEach((mv) => {
                qs.push(key + '=' + mv.value);
            });
        } else {
            qs.push(key + '=' + request.querystring[key].value);
        }
    }
    request.querystring = qs.sort().join('&');
    return request;
}
