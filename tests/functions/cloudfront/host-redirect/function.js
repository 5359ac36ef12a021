// www goes to the name without it, with path and query.
function handler(event) {
    var request = event.request;
    var host = request.headers.host.value;

    if (!host.startsWith('www.')) {
        return request;
    }
    var pairs = [];
    Object.keys(request.querystring).forEach(function (name) {
        var parameter = request.querystring[name];
        var values = parameter.multiValue || [parameter];
        values.forEach(function (one) {
            pairs.push(one.value === '' ? name : name + '=' + one.value);
        });
    });
    var query = pairs.length ? '?' + pairs.join('&') : '';
    return {
        statusCode: 301,
        statusDescription: 'Moved Permanently',
        headers: {
            location: { value: 'https://' + host.slice(4) + request.uri + query },
            'cache-control': { value: 'max-age=3600' }
        }
    };
}
